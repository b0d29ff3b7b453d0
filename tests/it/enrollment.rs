//! The enrolment code, seen from outside: spent once, forgiving a lost answer, hard to guess.

use std::fs;
use std::thread;

use scantrip_tests::peer::{Peer, status};

use crate::world::{World, words};

#[test]
fn a_code_is_spent_once_and_a_lost_answer_is_harmless() {
    let world = World::new();
    let code = world.stage.enrollment_code().expect("a code");
    let first = Peer::new(&world.stage, "first");
    assert_eq!(status(&first.enroll("SN-1", &code)), "200");
    let certificate = fs::read(first.file("cert.pem")).expect("a certificate");
    assert_eq!(
        status(&first.enroll("SN-1", &code)),
        "200",
        "the answer may have been lost"
    );
    assert_eq!(
        fs::read(first.file("cert.pem")).expect("a certificate"),
        certificate
    );

    let second = Peer::new(&world.stage, "second").enroll("SN-2", &code);
    assert_eq!(status(&second), "401", "{}", words(&second));
    assert!(
        words(&second).contains("urn:scantrip:problem:code-refused"),
        "{}",
        words(&second)
    );
}

#[test]
fn of_two_devices_racing_for_one_code_exactly_one_wins() {
    let world = World::new();
    let code = world.stage.enrollment_code().expect("a code");
    let peers = ["red", "green", "blue", "grey"].map(|name| Peer::new(&world.stage, name));
    let answers: Vec<String> = thread::scope(|scope| {
        let racers: Vec<_> = peers
            .iter()
            .map(|peer| scope.spawn(|| status(&peer.enroll("SN-1", &code))))
            .collect();
        racers
            .into_iter()
            .map(|racer| racer.join().expect("an answer"))
            .collect()
    });
    let winners = answers.iter().filter(|answer| *answer == "200").count();
    assert_eq!(winners, 1, "{answers:?}");
}

#[test]
fn an_expired_code_is_refused_and_says_what_to_do() {
    let mut world = World::at(scantrip_tests::program::clock_off_by("-30d").expect("faketime"));
    let code = world.stage.enrollment_code().expect("a code");
    world.stage.serve_today().expect("a cloud a month later");
    let answer = Peer::new(&world.stage, "late").enroll("SN-1", &code);
    assert_eq!(status(&answer), "401", "{}", words(&answer));
    assert!(
        words(&answer).contains("ask for a new one"),
        "{}",
        words(&answer)
    );
}

#[test]
fn a_mistyped_code_is_caught_before_anything_is_sent() {
    let world = World::new();
    world.load(1, "");
    let code = world.stage.enrollment_code().expect("a code");
    let last = if code.ends_with('7') { '8' } else { '7' };
    let mistyped = format!("{}{last}", &code[..code.len() - 1]);
    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(true));
    let output = world.agent_with_input(&["enroll"], &mistyped);
    assert!(!output.status.success());
    assert!(words(&output).contains("mistyped"), "{}", words(&output));
}

#[test]
fn a_wrong_code_says_what_to_do_and_guessing_is_slowed_down() {
    let world = World::new();
    let peer = Peer::new(&world.stage, "guesser");
    // A well-formed code that was never given out: its check symbol fits.
    let wrong = "0000-0000-0000";
    let answer = peer.enroll("SN-1", wrong);
    assert_eq!(status(&answer), "401", "{}", words(&answer));
    let tries = (0..30).map(|_| status(&peer.enroll("SN-1", wrong)));
    let slowed = tries.filter(|answer| answer == "429").count();
    assert!(slowed >= 15, "only {slowed} of 30 guesses were slowed down");
    let answer = peer.enroll("SN-1", wrong);
    assert!(
        words(&answer).contains("too-many-tries"),
        "{}",
        words(&answer)
    );
}
