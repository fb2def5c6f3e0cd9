//! The files to measure, and what is known of each before it runs.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use eyre::{Result, WrapErr, eyre};
use prost::Message;
use tract_onnx::pb::ModelProto;

use super::{
    fetched, folder,
    manifest::{MAIN, Manifest, labels},
    score::Metric,
};

/// A trained model with its data.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its folder's name.
    pub name: String,
    /// The folder with its data.
    pub folder: PathBuf,
    /// Where its ONNX files are.
    pub files: PathBuf,
    /// What is said of it.
    pub manifest: Manifest,
    /// What the test samples should give, one sample after another.
    pub labels: Option<Vec<f64>>,
}

/// One ONNX file of a model.
#[derive(Debug, Clone)]
pub struct Form {
    /// The model.
    pub model: Arc<Model>,
    /// The file's name.
    pub file: String,
}

impl Model {
    fn read(folder: PathBuf) -> Result<Self> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A model that its package ships is not in the repository.
        let files = if folder.join(MAIN).exists() { folder.clone() } else { fetched().join(&name) };
        let manifest = Manifest::read(&folder)?;
        Ok(Self { name, files, manifest, labels: labels(&folder)?, folder })
    }

    /// Every model, by name.
    ///
    /// # Errors
    /// Where a folder cannot be read or is malformed.
    pub fn all() -> Result<Vec<Arc<Self>>> {
        let entries = fs::read_dir(folder()).wrap_err("models/real")?;
        let mut folders: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        folders.retain(|folder| folder.join("manifest.json").exists());
        folders.sort();
        folders.into_iter().map(|folder| Self::read(folder).map(Arc::new)).collect()
    }

    /// Whether its ONNX files are there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.manifest.models.keys().all(|file| self.files.join(file).exists())
    }

    /// Whether they are in the repository.
    #[must_use]
    pub fn is_committed(&self) -> bool {
        self.files == self.folder
    }

    /// Its files, the one that stands for it first.
    #[must_use]
    pub fn forms(self: &Arc<Self>) -> Vec<Form> {
        let mut files: Vec<String> = self.manifest.models.keys().cloned().collect();
        files.sort_by_key(|file| (file != MAIN, file.clone()));
        files.into_iter().map(|file| Form { model: Arc::clone(self), file }).collect()
    }

    /// Names of the outputs of the file that `expected.npz` was made with, in its order.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn outputs(&self) -> Result<Vec<String>> {
        let bytes = fs::read(self.files.join(MAIN))?;
        let graph = ModelProto::decode(bytes.as_slice())?.graph.ok_or_else(|| eyre!("{MAIN} has no graph"))?;
        Ok(graph.output.into_iter().map(|port| port.name).collect())
    }
}

impl Form {
    /// Model and file.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.model.name, self.file)
    }

    /// Where the ONNX file is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.model.files.join(&self.file)
    }

    /// A file with the model's data.
    #[must_use]
    pub fn data(&self, name: impl AsRef<Path>) -> PathBuf {
        self.model.folder.join(name)
    }

    /// How it is judged, and its labels; `None` where the test data has none.
    #[must_use]
    pub fn judged(&self) -> Option<(Metric, &[f64])> {
        let (metric, _) = self.model.manifest.metric(&self.file)?;
        Some((metric, self.model.labels.as_deref()?))
    }
}
