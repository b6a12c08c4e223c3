//! Any sequence of inputs, against what a driver can see of a session.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Input {
    Packet(&'static str),
    ParseError,
    Lost(Lost),
    Poll,
    Candidate,
    CandidatePacket(&'static str),
    CandidateParseError,
    CandidateLost,
    /// Time passes, and the session is woken though it may not have asked for it.
    Wait(u64),
    /// Time passes until the session wants to be woken.
    Wake,
    Close,
    Flushed,
    Abort,
    Reading(bool),
}

fn input() -> impl Strategy<Value = Input> {
    let packets = prop::sample::select(vec!["0", "1", "2", "3", "4x", "5", "6"]);
    let probes = prop::sample::select(vec!["2probe", "2probe", "5", "5", "5", "4x", "6"]);
    prop_oneof![
        4 => prop::sample::select(vec!["3", "4x", "bAA==", "6"]).prop_map(Input::Packet),
        1 => packets.prop_map(Input::Packet),
        1 => Just(Input::ParseError),
        1 => prop::sample::select(vec![Lost::Closed, Lost::Error]).prop_map(Input::Lost),
        4 => Just(Input::Poll),
        8 => Just(Input::Candidate),
        12 => probes.prop_map(Input::CandidatePacket),
        1 => Just(Input::CandidateParseError),
        2 => Just(Input::CandidateLost),
        4 => (0_u64..40_000).prop_map(Input::Wait),
        8 => Just(Input::Wake),
        2 => Just(Input::Close),
        2 => Just(Input::Flushed),
        1 => Just(Input::Abort),
        4 => any::<bool>().prop_map(Input::Reading),
    ]
}

/// What a driver knows from inputs and outputs alone.
#[derive(Debug)]
struct Driver {
    transport: Transport,
    has_candidate: bool,
    probe_answered: bool,
    close_began: bool,
    closed: bool,
}

impl Driver {
    fn new(transport: Transport) -> Self {
        Self {
            transport,
            has_candidate: false,
            probe_answered: false,
            close_began: false,
            closed: false,
        }
    }

    fn carry_out(&mut self, output: Output) {
        assert!(!self.closed, "{output:?} after the end");
        match output {
            Output::SendPing => assert!(!self.close_began),
            Output::ReleasePoll => assert_eq!(self.transport, Transport::Polling),
            Output::AnswerProbe => {
                assert!(self.has_candidate && !self.probe_answered);
                self.probe_answered = true;
            }
            Output::Switch => {
                assert!(self.has_candidate && self.probe_answered);
                assert_eq!(self.transport, Transport::Polling);
                self.transport = Transport::WebSocket;
                self.has_candidate = false;
            }
            Output::DropCandidate => {
                assert!(self.has_candidate);
                self.has_candidate = false;
            }
            Output::BeginClose => {
                assert!(!self.has_candidate && !self.close_began);
                self.close_began = true;
            }
            Output::Closed(_) => {
                assert!(!self.has_candidate, "the candidate is forgotten");
                self.closed = true;
            }
            Output::Timeout(_) => unreachable!("ends every poll"),
        }
    }
}

impl Script {
    fn apply(&mut self, input: &Input, driver: &mut Driver) {
        match *input {
            Input::Packet(text) => {
                let was_open = self.session.is_open();
                let delivered = self.packet(text);
                assert_eq!(delivered, was_open && text.starts_with(['4', 'b']));
            }
            Input::ParseError => self.session.handle_parse_error(),
            Input::Lost(how) => self.session.handle_transport_lost(how),
            Input::Poll => self.session.handle_poll(),
            Input::Candidate => {
                if self.candidate() {
                    assert!(!driver.has_candidate && driver.transport == Transport::Polling);
                    driver.has_candidate = true;
                    driver.probe_answered = false;
                }
            }
            Input::CandidatePacket(text) => self.candidate_packet(text),
            Input::CandidateParseError => self.session.handle_candidate_parse_error(),
            Input::CandidateLost => {
                self.session.handle_candidate_lost();
                driver.has_candidate = false;
            }
            Input::Wait(milliseconds) => {
                self.wait(Duration::from_millis(milliseconds));
                self.session.handle_timeout(self.now);
            }
            Input::Wake => {
                let (_, deadline) = self.drain();
                self.now =
                    deadline.map_or(self.now, |deadline| self.now.max(self.opened + deadline));
                self.session.handle_timeout(self.now);
            }
            Input::Close => self.close(CloseReason::ForcedClose),
            Input::Flushed => self.session.handle_flushed(),
            Input::Abort => self.session.abort(CloseReason::SlowConsumer),
            Input::Reading(reading) => self.set_reading(reading),
        }
    }
}

impl Script {
    /// One input and all that follows from it; says when the session wants to be woken.
    fn step(&mut self, input: &Input, driver: &mut Driver) -> Option<Duration> {
        self.apply(input, driver);
        let (outputs, deadline) = self.drain();
        for output in outputs {
            driver.carry_out(output);
        }
        assert_eq!(self.session.transport(), driver.transport);
        assert_eq!(self.session.is_upgrading(), driver.has_candidate);
        assert_eq!(self.session.is_closed(), driver.closed);
        assert!(!driver.closed || deadline.is_none());
        deadline
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_driver_is_never_asked_for_the_impossible(
        inputs in prop::collection::vec(input(), 0..60),
        starts_on_polling in prop::bool::weighted(0.8),
    ) {
        let mut script = if starts_on_polling { Script::polling() } else { Script::websocket() };
        let mut driver = Driver::new(script.session.transport());
        for input in &inputs {
            let deadline = script.step(input, &mut driver);
            if matches!(input, Input::Wait(_) | Input::Wake) {
                // Who is woken asks for a later time, or the driver would never sleep.
                let now = script.now - script.opened;
                prop_assert!(deadline.is_none_or(|deadline| deadline > now));
            }
        }
    }

    /// Without any help from its peer or its driver.
    #[test]
    fn a_close_always_comes_to_its_end(inputs in prop::collection::vec(input(), 0..30)) {
        let mut script = Script::polling();
        let mut driver = Driver::new(Transport::Polling);
        for input in &inputs {
            script.step(input, &mut driver);
        }
        let latest = script.now + CLOSE;
        let mut deadline = script.step(&Input::Close, &mut driver);
        while deadline.is_some() {
            deadline = script.step(&Input::Wake, &mut driver);
            prop_assert!(script.now <= latest);
        }
        prop_assert!(driver.closed);
    }
}
