//! What every server and the client do with each other.

mod connections;
mod payloads;
mod returns;

use std::pin::Pin;
use std::sync::Arc;

use crate::cell::Cell;
use crate::make::Make;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One row of the table.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Arc<Cell>) -> Running,
    /// It kills the server, so nobody else may be there.
    pub(crate) alone: bool,
    /// Which servers do not know such a thing, and why.
    pub(crate) cannot: &'static [(Make, &'static str)],
}

const NO_RECOVERY: &[(Make, &str)] = &[
    (Make::Node2, "connection state recovery came with 4.6"),
    (
        Make::Python,
        "python-socketio keeps no events for clients that are away",
    ),
];

macro_rules! table {
    ($($module:ident::$name:ident $(alone: $alone:literal)? $(cannot: $cannot:expr)?,)+) => {
        pub(crate) const SCENARIOS: &[Scenario] = &[$(Scenario {
            name: stringify!($name),
            run: |cell| Box::pin(async move { $module::$name(&cell).await }),
            alone: false $(|| $alone)?,
            cannot: table!(@or $($cannot)?),
        },)+];
    };
    (@or) => { &[] };
    (@or $cannot:expr) => { $cannot };
}

table! {
    connections::it_connects_and_knows_its_id,
    connections::a_refusal_says_why_and_is_final,
    connections::several_namespaces_share_one_connection,
    connections::who_is_taken_out_stays_away_until_asked,
    payloads::every_shape_of_json_comes_back,
    payloads::nested_binary_comes_back,
    payloads::acknowledgements_go_both_ways,
    payloads::who_does_not_answer_is_not_waited_for,
    payloads::an_event_is_repeated_until_it_is_acknowledged,
    payloads::an_event_that_is_never_acknowledged_is_given_up,
    returns::each_attempt_presents_a_fresh_token,
    returns::what_waited_leaves_before_what_is_sent_on_connecting,
    returns::a_client_that_recovers_has_missed_nothing cannot: NO_RECOVERY,
    returns::a_killed_server_is_tried_again_at_the_right_times alone: true,
}
