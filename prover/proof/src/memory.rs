//! How much memory this process has used.

/// The process's largest resident set so far, in bytes: `VmHWM` of `/proc/self/status`. `None` where
/// the system has no such file.
#[must_use]
pub fn peak_memory_bytes() -> Option<u64> {
    parse_peak(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse_peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::parse_peak;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        let status = "Name:\tvouch\nVmHWM:\t    2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(parse_peak(status), Some(2048 * 1024));
    }

    #[test]
    fn a_status_without_the_line_gives_nothing() {
        assert_eq!(parse_peak("Name:\tvouch\n"), None);
        assert_eq!(parse_peak("VmHWM:\t many kB\n"), None);
    }
}
