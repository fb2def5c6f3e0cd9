//! An endpoint that hands on what anvil answers, but for what a test makes of it.

use std::sync::{Mutex, PoisonError};

use alloy::transports::http::reqwest::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// How an answer goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// As it is by then.
    Sent,
    /// Bytes that are no answer.
    Garbage,
    /// Not at all: the connection is closed.
    Closed,
}

/// Method, parameters and the true result, which it may change.
type Lie = dyn Fn(&str, &Value, &mut Value) -> Reply + Send + Sync;

pub(super) struct Liar {
    pub(super) url: String,
    lie: Arc<Mutex<Arc<Lie>>>,
    task: JoinHandle<()>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Liar {
    /// An endpoint in front of the world's node that is honest so far.
    pub(super) async fn new(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let honest: Arc<Lie> = Arc::new(|_, _, _| Reply::Sent);
        let lie = Arc::new(Mutex::new(honest));
        let (node, shared) = (world.anvil.endpoint(), Arc::clone(&lie));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, node.clone(), Arc::clone(&shared)));
            }
        });
        Self { url, lie, task }
    }

    pub(super) fn lies(&self, lie: impl Fn(&str, &Value, &mut Value) -> Reply + Send + Sync + 'static) {
        *self.lie.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(lie);
    }

    pub(super) fn is_honest(&self) {
        self.lies(|_, _, _| Reply::Sent);
    }
}

/// Answers the requests of one connection, one after the other.
async fn serve(mut stream: TcpStream, node: String, lie: Arc<Mutex<Arc<Lie>>>) -> Option<()> {
    let client = Client::new();
    loop {
        let request = body(&mut stream).await?;
        let asked: Value = serde_json::from_slice(&request).ok()?;
        let answer = client.post(&node).header("content-type", "application/json").body(request).send().await.ok()?;
        let mut answer: Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        let lie = Arc::clone(&lie.lock().unwrap_or_else(PoisonError::into_inner));
        let reply = lie(asked["method"].as_str()?, &asked["params"], &mut answer["result"]);
        // An answer has either a result or an error.
        if !answer["result"].is_null() {
            answer.as_object_mut()?.remove("error");
        } else if answer.get("error").is_some() {
            answer.as_object_mut()?.remove("result");
        }
        let answer = match reply {
            Reply::Sent => answer.to_string(),
            Reply::Garbage => "<html>502 Bad Gateway".to_owned(),
            Reply::Closed => return None,
        };
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all(format!("{head}{answer}").as_bytes()).await.ok()?;
    }
}

/// The body of the next request.
async fn body(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let start = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await.ok()? {
            0 => return None,
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..start]).to_ascii_lowercase();
    let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
    let mut body = bytes.split_off(start);
    let read = body.len();
    body.resize(length, 0);
    stream.read_exact(&mut body[read.min(length)..]).await.ok()?;
    Some(body)
}
