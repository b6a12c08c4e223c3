//! The official JavaScript client against our server: one test for each scenario of `js/scenarios` and
//! each transport.

const SERVER: &str = env!("CARGO_BIN_EXE_interop-server");

macro_rules! scenarios {
    ($($scenario:ident: $($transport:ident)+,)+) => {
        const SCENARIOS: &[(&str, &str)] =
            &[$($((stringify!($scenario), stringify!($transport)),)+)+];

        $(mod $scenario {
            $(#[test]
            fn $transport() {
                let arguments = [stringify!($scenario), stringify!($transport)];
                interop::javascript(super::SERVER, &arguments);
            })+
        })+
    };
}

scenarios! {
    text_and_unicode: polling websocket upgrade,
    binary_attachments: polling websocket upgrade,
    a_placeholder_in_plain_data: polling websocket upgrade,
    the_server_acknowledges: polling websocket upgrade,
    the_client_acknowledges: polling websocket upgrade,
    acknowledgements_find_their_events: polling websocket upgrade,
    two_namespaces_on_one_connection: polling websocket upgrade,
    an_unknown_namespace: polling websocket upgrade,
    refused_auth_with_data: polling websocket upgrade,
    two_sockets_at_the_same_instant: polling websocket upgrade,
    rooms: polling websocket upgrade,
    the_client_leaves: polling websocket upgrade,
    the_client_closes_its_connection: polling websocket upgrade,
    the_server_takes_a_socket_out: polling websocket upgrade,
    the_server_closes_the_connection: polling websocket upgrade,
    the_server_shuts_down: polling websocket upgrade,
    the_server_freezes: polling websocket upgrade,
    the_client_freezes: polling websocket upgrade,
    the_client_is_killed: polling websocket upgrade,
    the_client_comes_back_after_a_restart: polling websocket upgrade,
    an_authorization_header: polling websocket upgrade,
    a_cookie_header: polling websocket upgrade,
    over_tls: polling websocket upgrade,
    a_page_whose_host_has_set_a_cookie: polling websocket upgrade,
    a_page_over_tls_and_http2: polling websocket upgrade,
    node_polls_over_http2: polling,
    ten_thousand_from_the_client: polling websocket upgrade,
    ten_thousand_from_the_server: polling websocket upgrade,
    handlers_that_sleep_start_in_order: polling websocket upgrade,
    upgrade_under_traffic: upgrade,
    an_abandoned_upgrade_leaves_polling_working: polling,
    msgpack_payloads: polling websocket upgrade,
    msgpack_acknowledgements: polling websocket upgrade,
    msgpack_refusals: polling websocket upgrade,
    msgpack_rooms: polling websocket upgrade,
    deflated_payloads: websocket upgrade,
    deflated_broadcasts: websocket upgrade,
    dynamic_namespaces_of_client_1: polling websocket upgrade,
    dynamic_namespaces_of_client_2: polling websocket upgrade,
    dynamic_namespaces_with_msgpack: polling websocket upgrade,
    recovery_from_a_quiet_start_again_and_again: polling websocket upgrade,
    recovery_runs_auth_and_middleware_again: polling websocket upgrade,
    recovery_of_binary_events_with_msgpack: polling websocket upgrade,
    recovery_after_a_page_was_reloaded: polling websocket upgrade,
    recovery_in_dynamic_namespaces: polling websocket upgrade,
    recovery_when_the_replay_itself_is_cut: polling websocket upgrade,
}

#[test]
fn every_scenario_is_a_test() {
    let list = interop::javascript(SERVER, &["list"]);
    let tests: Vec<String> = SCENARIOS
        .iter()
        .map(|(scenario, transport)| format!("{scenario} {transport}"))
        .collect();
    assert_eq!(list.lines().collect::<Vec<_>>(), tests);
}
