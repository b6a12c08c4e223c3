//! What the machine allows this process: descriptors and memory, as Linux tells.

pub(crate) mod memory;

use std::fs;

/// Kept for what is no session: listeners, files, connections to databases.
const RESERVED_DESCRIPTORS: usize = 32;

/// Where the system does not say how many descriptors there may be.
const FALLBACK_CONNECTIONS: usize = 10_000;

/// How many connections there may be: 90 % of the descriptors, less a reserve.
pub(crate) fn max_connections() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    match descriptors(&limits) {
        None => FALLBACK_CONNECTIONS,
        Some(descriptors) => connections_with(descriptors),
    }
}

fn connections_with(descriptors: usize) -> usize {
    let share = descriptors / 10 * 9;
    share.saturating_sub(RESERVED_DESCRIPTORS).max(1)
}

/// How many TCP connections there may be, where the system says it: 95 % of the descriptors, less a
/// reserve. More than there may be sessions, because long-polling takes two for each.
pub(crate) fn max_tcp_connections() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    descriptors(&limits).map(tcp_connections_with)
}

fn tcp_connections_with(descriptors: usize) -> usize {
    let share = descriptors / 20 * 19;
    share.saturating_sub(RESERVED_DESCRIPTORS).max(1)
}

/// The soft limit in a table of `/proc/self/limits`.
fn descriptors(limits: &str) -> Option<usize> {
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_descriptors_is_found() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max processes             unlimited            unlimited            processes \n\
                     Max open files            1024                 524288               files     \n";
        assert_eq!(descriptors(table), Some(1_024));
        let unlimited = "Max open files            unlimited            unlimited            files";
        assert_eq!(descriptors(unlimited), Some(usize::MAX));
        for unreadable in ["", "Max open files", "Max open files  many many files"] {
            assert_eq!(descriptors(unreadable), None, "{unreadable:?}");
        }
    }

    #[test]
    fn a_reserve_of_descriptors_is_kept() {
        for (descriptors, connections) in [
            (0, 1),
            (32, 1),
            (256, 193),
            (1_024, 886),
            (1_048_576, 943_681),
        ] {
            assert_eq!(connections_with(descriptors), connections);
        }
        assert!(max_connections() > 1);
        for (descriptors, connections) in [
            (0, 1),
            (32, 1),
            (256, 196),
            (1_024, 937),
            (1_048_576, 996_100),
        ] {
            assert_eq!(tcp_connections_with(descriptors), connections);
        }
    }
}
