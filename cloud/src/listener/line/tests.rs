use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::sleep;

use super::*;

/// A line, its phase and the peer's end; the kernel between them holds 64 bytes.
fn pair(doing: Doing) -> (Line<DuplexStream>, Arc<Phase>, DuplexStream) {
    let (ours, theirs) = duplex(64);
    let phase = Phase::new();
    let line = Line::new(ours, Arc::clone(&phase));
    phase.set(doing);
    (line, phase, theirs)
}

/// Reads until the line fails; the seconds that took and why.
async fn read_until_it_fails(mut line: Line<DuplexStream>) -> (u64, String) {
    let start = Instant::now();
    let mut buffer = [0; 16];
    loop {
        if let Err(error) = line.read(&mut buffer).await {
            return (start.elapsed().as_secs(), error.to_string());
        }
    }
}

/// A peer that sends a byte a second until nobody listens.
fn drip(mut peer: DuplexStream) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while peer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_handshake_ends_after_5_seconds_whatever_comes() {
    let (line, _, peer) = pair(Doing::Handshake);
    drip(peer);
    let (seconds, why) = read_until_it_fails(line).await;
    assert_eq!(seconds, 5);
    assert!(why.contains("handshake"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_ends_after_10_seconds() {
    let (line, phase, peer) = pair(Doing::Idle);
    phase.prove();
    drip(peer);
    let (seconds, why) = read_until_it_fails(line).await;
    assert_eq!(seconds, 10);
    assert!(why.contains("head"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_ends_after_10_seconds_and_a_slow_honest_one_does_not() {
    let (line, _, peer) = pair(Doing::Body);
    drip(peer);
    let (seconds, why) = read_until_it_fails(line).await;
    assert_eq!(seconds, 10);
    assert!(why.contains("body"), "{why}");

    let (mut line, _, mut peer) = pair(Doing::Body);
    tokio::spawn(async move {
        for _ in 0..300 {
            sleep(Duration::from_secs(1)).await;
            peer.write_all(&[b'x'; 1100]).await.unwrap();
        }
    });
    let mut all = Vec::new();
    line.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 330_000, "five minutes at 1.1 KB a second");
}

#[tokio::test(start_paused = true)]
async fn an_idle_device_may_stay_two_minutes_and_a_stranger_ten_seconds() {
    let (line, phase, _peer) = pair(Doing::Idle);
    phase.prove();
    assert_eq!(read_until_it_fails(line).await.0, 120);
    let (line, _, _peer) = pair(Doing::Idle);
    assert_eq!(read_until_it_fails(line).await.0, 10);
}

#[tokio::test(start_paused = true)]
async fn our_own_work_has_no_limit_of_the_line() {
    let (line, phase, _peer) = pair(Doing::Work);
    phase.prove();
    tokio::spawn(async move {
        sleep(Duration::from_secs(3600)).await;
        phase.set(Doing::Idle);
    });
    let reading = read_until_it_fails(line);
    let patient = tokio::time::timeout(Duration::from_secs(3599), reading).await;
    assert!(patient.is_err(), "{patient:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_reads_ends_after_10_seconds() {
    let (mut line, _, _peer) = pair(Doing::Answer);
    let start = Instant::now();
    let error = line.write_all(&[0; 65_536]).await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert!(error.to_string().contains("read too slowly"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_read_a_byte_a_second_ends_and_one_read_at_the_floor_does_not() {
    let read_at = async |bytes: usize| {
        let (mut line, _, mut peer) = pair(Doing::Answer);
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; bytes];
            while peer.read_exact(&mut buffer).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let written = line.write_all(&[0; 65_536]).await;
        reader.abort();
        written.is_ok()
    };
    assert!(!read_at(1).await);
    assert!(read_at(1100).await);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_ended_starts_the_idle_time() {
    let (mut line, phase, mut peer) = pair(Doing::Work);
    phase.prove();
    sleep(Duration::from_secs(500)).await;
    phase.set(Doing::Answer);
    line.write_all(b"304").await.unwrap();
    line.flush().await.unwrap();
    peer.read_exact(&mut [0; 3]).await.unwrap();
    assert_eq!(phase.get(), Doing::Idle);
    assert_eq!(read_until_it_fails(line).await.0, 120);
}
