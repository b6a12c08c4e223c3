//! How much memory this process may use and does use, as Linux tells.

use std::fs;

/// Where cgroups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// How much memory there may be: that of the machine, or what the control groups of the process
/// allow, whichever is less. `None` where the system does not say.
pub(crate) fn limit() -> Option<usize> {
    limit_by(&|path| fs::read_to_string(path).ok())
}

/// The resident set of the process. `None` where the system does not say.
pub(crate) fn used() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    kilobytes(&status, "VmRSS:")
}

fn limit_by(read: &dyn Fn(&str) -> Option<String>) -> Option<usize> {
    let machine = read("/proc/meminfo").and_then(|table| kilobytes(&table, "MemTotal:"));
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let allowed = groups
        .lines()
        .filter_map(|line| limit_of_group(line, read))
        .min();
    [machine, allowed].into_iter().flatten().min()
}

/// The least that a group or one around it allows, by a line such as `0::/path` (version 2) or
/// `4:memory:/path` (version 1).
fn limit_of_group(line: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<usize> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, mut path) = (parts.next()?, parts.next()?, parts.next()?);
    let (mount, file) = if controllers.is_empty() {
        (CGROUPS.to_owned(), "memory.max")
    } else if controllers.split(',').any(|name| name == "memory") {
        (format!("{CGROUPS}/memory"), "memory.limit_in_bytes")
    } else {
        return None;
    };
    let mut least = None;
    loop {
        path = path.trim_end_matches('/');
        let limit = read(&format!("{mount}{path}/{file}"));
        // A group without a limit says `max`.
        let limit = limit.and_then(|limit| limit.trim().parse().ok());
        least = [least, limit].into_iter().flatten().min();
        let Some((around, _)) = path.rsplit_once('/') else {
            return least;
        };
        path = around;
    }
}

/// A number of a table whose unit is `kB`, in bytes.
fn kilobytes(table: &str, name: &str) -> Option<usize> {
    let mut lines = table.lines();
    let value = lines.find_map(|line| line.strip_prefix(name))?;
    let kilobytes: usize = value.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes.saturating_mul(1_024))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: usize = 1 << 30;

    #[test]
    fn the_least_of_what_machine_and_control_groups_allow_is_the_limit() {
        let machine = ("/proc/meminfo", "MemTotal:  8388608 kB\nMemFree:  1 kB\n");
        let group = |path| ("/proc/self/cgroup", path);
        let version2 = "0::/a.slice/b\n";
        let version1 = "5:cpu,cpuacct:/a\n4:memory:/docker/1f\n";
        for (files, limit) in [
            (vec![], None),
            (vec![machine], Some(8 * GIB)),
            (vec![("/proc/meminfo", "MemTotal: many kB")], None),
            (
                vec![
                    machine,
                    group(version2),
                    ("/sys/fs/cgroup/a.slice/b/memory.max", "1073741824\n"),
                    ("/sys/fs/cgroup/a.slice/memory.max", "2147483648\n"),
                ],
                Some(GIB),
            ),
            // The group around it is narrower.
            (
                vec![
                    machine,
                    group(version2),
                    ("/sys/fs/cgroup/a.slice/b/memory.max", "max\n"),
                    ("/sys/fs/cgroup/a.slice/memory.max", "2147483648\n"),
                ],
                Some(2 * GIB),
            ),
            // A container sees its own group as the root.
            (
                vec![
                    machine,
                    group("0::/\n"),
                    ("/sys/fs/cgroup/memory.max", "1073741824\n"),
                ],
                Some(GIB),
            ),
            (
                vec![
                    machine,
                    group(version2),
                    ("/sys/fs/cgroup/a.slice/b/memory.max", "max\n"),
                ],
                Some(8 * GIB),
            ),
            // More than there is.
            (
                vec![
                    machine,
                    group(version2),
                    ("/sys/fs/cgroup/a.slice/b/memory.max", "99999999999999\n"),
                ],
                Some(8 * GIB),
            ),
            (
                vec![
                    machine,
                    group(version1),
                    (
                        "/sys/fs/cgroup/memory/docker/1f/memory.limit_in_bytes",
                        "1073741824\n",
                    ),
                ],
                Some(GIB),
            ),
            (
                vec![
                    machine,
                    group(version1),
                    (
                        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                        "2147483648\n",
                    ),
                ],
                Some(2 * GIB),
            ),
            (
                vec![
                    machine,
                    group(version1),
                    (
                        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                        "9223372036854771712\n",
                    ),
                ],
                Some(8 * GIB),
            ),
            (vec![machine, group("garbage\n::\n0:\n")], Some(8 * GIB)),
        ] {
            let read = |path: &str| {
                let file = files.iter().find(|(name, _)| *name == path);
                file.map(|(_, text)| (*text).to_owned())
            };
            assert_eq!(limit_by(&read), limit, "{files:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_less_than_it_may() {
        let (used, limit) = (used().unwrap(), limit().unwrap());
        assert!(used > 100_000 && used < limit, "{used} of {limit}");
    }
}
