//! What is measured of servers, and what was promised of it.
//!
//! The names of scenarios and figures are the load generator's.

/// The columns of the tables, in order, with the keys of the figures.
pub(crate) const SERVERS: [(&str, &str); 6] = [
    ("ferriwire", "Ferriwire"),
    ("floor", "floor"),
    ("cork", "floor --cork"),
    ("socketioxide", "socketioxide"),
    ("bun", "Bun"),
    ("node", "Node.js"),
];

const ALL: &[&str] = &["ferriwire", "floor", "cork", "socketioxide", "bun", "node"];
/// Where nothing is there to be corked.
const NO_CORK: &[&str] = &["ferriwire", "floor", "socketioxide", "bun", "node"];
/// The floor speaks WebSocket only.
const POLLING: &[&str] = &["ferriwire", "socketioxide", "bun", "node"];

/// One scenario for several servers, which take turns.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// As it is called in the figures.
    pub(crate) name: &'static str,
    /// As the load generator calls it.
    pub(crate) load: &'static str,
    pub(crate) servers: &'static [&'static str],
    pub(crate) repetitions: u32,
    /// The cores of the server; the load generator has the second one.
    pub(crate) cores: &'static str,
}

const fn scenario(
    name: &'static str,
    servers: &'static [&'static str],
    repetitions: u32,
) -> Scenario {
    Scenario {
        name,
        load: name,
        servers,
        repetitions,
        cores: "0",
    }
}

/// The broadcast that is measured with one worker thread and with two.
const CORKED: &str = "bcast:1000:100:w8";
pub(crate) const TWO_CORES: &str = "bcast:1000:100:w8 on two cores";

/// First what the table shows, then what only the plots do.
pub(crate) const SCENARIOS: [Scenario; 24] = [
    scenario("bcast:1000:100:w1", ALL, 3),
    scenario(CORKED, ALL, 3),
    scenario("bcast:1000:1000:w1", ALL, 3),
    scenario("bcast:10000:100:w1", NO_CORK, 2),
    // Its joins are over in a tenth of a second.
    scenario("rooms", NO_CORK, 12),
    scenario("echo:100:1", ALL, 3),
    scenario("echo:100:32", ALL, 3),
    scenario("bin:4096", NO_CORK, 3),
    scenario("bin:1000000", NO_CORK, 3),
    scenario("poll:200", POLLING, 5),
    scenario("idle:10000", NO_CORK, 1),
    scenario("slow", NO_CORK, 3),
    Scenario {
        name: TWO_CORES,
        load: CORKED,
        servers: &["ferriwire"],
        repetitions: 3,
        cores: "0,1",
    },
    scenario("idle:100:0", NO_CORK, 1),
    scenario("idle:1000:0", NO_CORK, 1),
    scenario("idle:3000:0", NO_CORK, 1),
    scenario("bcast:10:100:w1", NO_CORK, 1),
    scenario("bcast:100:100:w1", NO_CORK, 1),
    scenario("bcast:1000:100:r10", NO_CORK, 1),
    scenario("bcast:1000:100:r20", NO_CORK, 1),
    scenario("bcast:1000:100:r40", NO_CORK, 1),
    scenario("bcast:1000:100:r60", NO_CORK, 1),
    scenario("bcast:1000:100:r80", NO_CORK, 1),
    scenario("bcast:1000:100:r120", NO_CORK, 1),
];

/// A figure of Ferriwire, and where it has to lie.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) scenario: &'static str,
    pub(crate) figure: &'static str,
    /// What the table says in place of the figure's name.
    pub(crate) title: &'static str,
    pub(crate) bounds: &'static [Bound],
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64, Of),
    AtLeast(f64, Of),
}

/// What a bound is a multiple of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    One,
    /// The same figure of another server.
    Server(&'static str),
    /// Another figure of Ferriwire, with its title.
    Own(&'static str, &'static str),
    /// The same figure of Ferriwire with one worker thread.
    OneThread,
}

use Bound::{AtLeast, AtMost};
use Of::{One, OneThread, Own, Server};

const fn target(
    scenario: &'static str,
    figure: &'static str,
    title: &'static str,
    bounds: &'static [Bound],
) -> Target {
    Target {
        scenario,
        figure,
        title,
        bounds,
    }
}

const DELIVERY: (&str, &str) = ("cpu_us/delivery", "us per delivery");
const OP: (&str, &str) = ("cpu_us/op", "us per echo");
const FLOOR: Of = Server("floor");
const SOCKETIOXIDE: Of = Server("socketioxide");

pub(crate) const TARGETS: [Target; 23] = [
    target(
        "bcast:1000:100:w1",
        DELIVERY.0,
        DELIVERY.1,
        &[
            AtMost(1.22, FLOOR),
            AtMost(0.80, SOCKETIOXIDE),
            AtMost(0.85, Server("bun")),
        ],
    ),
    target(
        CORKED,
        DELIVERY.0,
        DELIVERY.1,
        &[AtMost(1.25, Server("cork")), AtMost(0.75, SOCKETIOXIDE)],
    ),
    target(
        "bcast:1000:1000:w1",
        DELIVERY.0,
        DELIVERY.1,
        &[AtMost(1.20, FLOOR)],
    ),
    target(
        "bcast:10000:100:w1",
        DELIVERY.0,
        DELIVERY.1,
        &[AtMost(1.20, FLOOR)],
    ),
    target("rooms", DELIVERY.0, DELIVERY.1, &[AtMost(1.25, FLOOR)]),
    target(
        "rooms",
        "cpu_us/join",
        "us per join",
        &[AtMost(1.25, FLOOR), AtMost(0.80, SOCKETIOXIDE)],
    ),
    target(
        "rooms",
        "cpu_us/leave",
        "us per leave",
        &[AtMost(1.25, FLOOR), AtMost(0.80, SOCKETIOXIDE)],
    ),
    target(
        "echo:100:1",
        OP.0,
        OP.1,
        &[AtMost(1.18, FLOOR), AtMost(0.90, SOCKETIOXIDE)],
    ),
    target("echo:100:32", OP.0, OP.1, &[AtMost(0.28, SOCKETIOXIDE)]),
    target(
        "echo:100:32",
        "p99_us",
        "p99, us",
        &[AtMost(3.0, Own("p50_us", "p50"))],
    ),
    target("bin:4096", OP.0, OP.1, &[AtMost(0.80, SOCKETIOXIDE)]),
    target("bin:1000000", OP.0, OP.1, &[AtMost(0.50, SOCKETIOXIDE)]),
    target("poll:200", OP.0, OP.1, &[AtMost(0.75, SOCKETIOXIDE)]),
    target(
        "poll:200",
        "p99_us",
        "p99, us",
        &[AtMost(5.0, Own("p50_us", "p50"))],
    ),
    target(
        "idle:10000",
        "rss_B/conn",
        "resident bytes per connection",
        &[AtMost(2_048.0, One)],
    ),
    target(
        "idle:10000",
        "cpu_us/connect",
        "us per connect",
        &[AtMost(0.50, SOCKETIOXIDE)],
    ),
    target(
        "idle:10000",
        "cpu_us/heartbeat",
        "us per heartbeat",
        &[AtMost(0.85, SOCKETIOXIDE)],
    ),
    target(
        "slow",
        "others_lost",
        "messages others lost",
        &[AtMost(0.0, One)],
    ),
    target(
        "slow",
        "deliveries/s",
        "deliveries/s to the others",
        &[AtLeast(0.85, Own("base_deliveries/s", "before"))],
    ),
    target(
        "slow",
        "p99_us",
        "p99 of the others, us",
        &[AtMost(1.15, Own("base_p99_us", "before"))],
    ),
    target(
        "slow",
        "growth_B/B",
        "bytes held per byte owed",
        &[AtMost(0.3, One)],
    ),
    target(
        "slow",
        "slow_cut_off",
        "slow reader cut off",
        &[AtLeast(1.0, One)],
    ),
    target(
        TWO_CORES,
        DELIVERY.0,
        DELIVERY.1,
        &[AtMost(1.15, OneThread)],
    ),
];

/// The scenario of which [`Of::OneThread`] speaks.
pub(crate) const ONE_THREAD: &str = CORKED;
