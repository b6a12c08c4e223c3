//! The Python client against our server: one test for each scenario of `python/run.py`, each of the two
//! forms of the client, and each transport.

const SERVER: &str = env!("CARGO_BIN_EXE_interop-server");

macro_rules! scenarios {
    ($($scenario:ident,)+) => {
        const SCENARIOS: &[&str] = &[$(stringify!($scenario),)+];

        $(mod $scenario {
            scenarios!(@form $scenario asynchronous: polling websocket upgrade);
            scenarios!(@form $scenario synchronous: polling websocket upgrade);
        })+
    };
    (@form $scenario:ident $form:ident: $($transport:ident)+) => {
        mod $form {
            $(#[test]
            fn $transport() {
                let arguments =
                    [stringify!($scenario), stringify!($form), stringify!($transport)];
                interop::python(crate::SERVER, &arguments);
            })+
        }
    };
}

scenarios! {
    connects_and_leaves,
    is_thrown_out,
    echoes_text,
    echoes_binary,
    acknowledges_both_ways,
    joins_namespaces,
    is_refused,
    uses_rooms,
    comes_back_after_a_restart,
}

#[test]
fn every_scenario_is_a_test() {
    let list = interop::python(SERVER, &["list"]);
    assert_eq!(list.lines().collect::<Vec<_>>(), SCENARIOS);
}
