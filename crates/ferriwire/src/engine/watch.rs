//! Once a second: how late timers are, how much memory is used, and what follows from it.
//!
//! It runs beside the first shard, in that shard's task. The sessions are only looked at when so much
//! memory is used that it may be theirs.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::Instant;

use super::core::Core;
use super::reasons::LimitKind;
use super::session::Session;

/// How often is looked.
const INTERVAL: Duration = Duration::from_secs(1);

/// From so much of the memory on, in percent, volatile messages are dropped,
const STOP_VOLATILE: usize = 70;

/// the slowest readers are closed,
const SHED: usize = 80;

/// and nobody new is let in.
const REFUSE: usize = 85;

/// How much of the memory may wait for all clients together, in percent, unless a setting says so.
const BUFFERED: usize = 25;

/// For whom less waits is not closed: it would free little, and may just be between two polls.
const WORTH_CLOSING: usize = 16 * 1024;

/// What one server may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    limit: usize,
    /// What may wait for all clients together.
    buffered: usize,
}

/// What has to be done at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Measures {
    stops_volatile: bool,
    refuses: bool,
    /// So many bytes of what waits have to be freed.
    shed: usize,
    because_of: Option<LimitKind>,
}

impl Memory {
    pub(crate) fn new(limit: usize, buffered: Option<usize>) -> Self {
        Self {
            limit,
            buffered: buffered.unwrap_or_else(|| share(limit, BUFFERED)),
        }
    }

    /// What waits is a part of what is used.
    fn depends_on_sessions(self, used: usize) -> bool {
        used >= share(self.limit, SHED) || used > self.buffered
    }

    fn measures(self, used: usize, waiting: usize) -> Measures {
        let too_much = used.saturating_sub(share(self.limit, SHED));
        let is_short = used >= share(self.limit, SHED);
        let over = waiting.saturating_sub(self.buffered);
        let because_of = match (is_short, over) {
            (true, _) => Some(LimitKind::Memory),
            (false, 0) => None,
            (false, _) => Some(LimitKind::BufferedTotal),
        };
        Measures {
            stops_volatile: used >= share(self.limit, STOP_VOLATILE),
            refuses: used >= share(self.limit, REFUSE),
            // At the watermark itself the slowest one goes.
            shed: too_much.max(usize::from(is_short)).max(over),
            because_of,
        }
    }
}

fn share(whole: usize, percent: usize) -> usize {
    // Divided first: at worst a hundred bytes too few, and no overflow.
    (whole / 100).saturating_mul(percent)
}

/// Looks until the server is gone.
pub(crate) async fn watch(core: Weak<Core>, memory: Option<Memory>) {
    loop {
        let due = Instant::now() + INTERVAL;
        tokio::time::sleep_until(due).await;
        let lag = due.elapsed();
        let Some(server) = core.upgrade() else { return };
        server.gate().handle_lag(lag);
        if let Some(memory) = memory
            && let Some(used) = server.config().memory_used()
        {
            look(&server, memory, used).await;
        }
    }
}

async fn look(core: &Core, memory: Memory, used: usize) {
    let mut slow = Vec::new();
    if memory.depends_on_sessions(used) {
        for part in core.sessions().parts() {
            slow.extend(part.into_iter().filter_map(|session| {
                let waiting = session.outbox().slow_bytes();
                (waiting > 0).then_some((waiting, session))
            }));
            tokio::task::yield_now().await;
        }
    }
    let waiting = slow.iter().map(|(bytes, _)| *bytes);
    let measures = memory.measures(used, waiting.fold(0, usize::saturating_add));
    for shard in core.shards() {
        shard.set_stops_volatile(measures.stops_volatile);
    }
    core.gate().set_memory_is_short(measures.refuses);
    if let Some(limit) = measures.because_of {
        shed(slow, measures.shed, limit);
    }
}

/// Closes the slowest readers, until so many bytes are free.
fn shed(mut slow: Vec<(usize, Session)>, bytes: usize, limit: LimitKind) {
    slow.retain(|(waiting, _)| *waiting >= WORTH_CLOSING);
    slow.sort_unstable_by_key(|(waiting, _)| std::cmp::Reverse(*waiting));
    let mut freed = 0_usize;
    for (_, session) in slow {
        if freed >= bytes {
            return;
        }
        freed = freed.saturating_add(session.shed(limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1_000_000;

    #[test]
    fn each_watermark_holds_from_itself_on() {
        let memory = Memory::new(LIMIT, None);
        for (used, stops_volatile, shed, refuses) in [
            (0, false, 0, false),
            (699_999, false, 0, false),
            (700_000, true, 0, false),
            (799_999, true, 0, false),
            (800_000, true, 1, false),
            (849_999, true, 49_999, false),
            (850_000, true, 50_000, true),
            (LIMIT, true, 200_000, true),
            (usize::MAX, true, usize::MAX - 800_000, true),
        ] {
            let measures = memory.measures(used, 0);
            let expected = Measures {
                stops_volatile,
                refuses,
                shed,
                because_of: (shed > 0).then_some(LimitKind::Memory),
            };
            assert_eq!(measures, expected, "{used}");
        }
    }

    #[test]
    fn what_waits_for_all_is_bounded_by_a_quarter_or_what_was_set() {
        for (setting, bound) in [
            (None, 250_000),
            (Some(9), 9),
            (Some(usize::MAX), usize::MAX),
        ] {
            let memory = Memory::new(LIMIT, setting);
            assert!(!memory.depends_on_sessions(bound.min(799_999)));
            for (waiting, shed) in [(bound, 0), (bound.saturating_add(5), 5)] {
                let measures = memory.measures(300_000, waiting);
                let shed = if waiting > bound { shed } else { 0 };
                assert_eq!(measures.shed, shed, "{setting:?}");
                let limit = (shed > 0).then_some(LimitKind::BufferedTotal);
                assert_eq!(measures.because_of, limit);
            }
        }
        let memory = Memory::new(LIMIT, None);
        assert!(memory.depends_on_sessions(250_001));
        // More of the two.
        assert_eq!(memory.measures(800_010, 250_100).shed, 100);
        assert_eq!(memory.measures(800_200, 250_100).shed, 200);
    }

    #[test]
    fn memory_without_a_limit_is_never_short() {
        let memory = Memory::new(usize::MAX, None);
        assert_eq!(memory.measures(1 << 50, 1 << 50), Measures::default());
    }
}
