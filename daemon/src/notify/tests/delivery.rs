//! Deliveries over time, with a clock that is wound by hand and receivers that are scripted.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{SECOND, cleared, critical, raised};
use crate::{
    anomaly::Class::{LockConvoy, LongWindow, UffdStuck},
    model::sinks::Reason,
    notify::{
        deliver::{Counter as _, Desk, Failed, Sender},
        outbox::{self, Outbox},
        queue::Queue,
        standing::{self, Standing},
    },
};

type Answer = Result<(), (Reason, Option<Duration>)>;

/// Answers by the time; remembers when it was asked and what it took.
struct Receiver<M> {
    answer: Arc<dyn Fn(Duration) -> Answer + Send + Sync>,
    start: Instant,
    log: Arc<Mutex<Log<M>>>,
    sequences: fn(&M) -> Vec<(u64, bool)>,
    takes: Duration,
}

struct Log<M> {
    attempts: Vec<Duration>,
    taken: Vec<(u64, bool)>,
    messages: usize,
    _message: std::marker::PhantomData<fn(M)>,
}

impl<M: Sync + 'static> Sender<M> for Receiver<M> {
    async fn send(&self, message: &M) -> Result<(), Failed> {
        let at = self.start.elapsed();
        self.log.lock().unwrap().attempts.push(at);
        tokio::time::sleep(self.takes).await;
        (self.answer)(at).map_err(|(reason, retry_after)| Failed { retry_after, ..Failed::new(reason, "scripted") })?;
        let mut log = self.log.lock().unwrap();
        log.messages += 1;
        log.taken.extend((self.sequences)(message));
        Ok(())
    }
}

struct Stage<Q: Queue> {
    desk: Arc<Desk<Q>>,
    log: Arc<Mutex<Log<Q::Message>>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn stage<Q: Queue>(
    queue: Q,
    sequences: fn(&Q::Message) -> Vec<(u64, bool)>,
    takes: Duration,
    answer: impl Fn(Duration) -> Answer + Send + Sync + 'static,
) -> Stage<Q>
where
    Q::Message: 'static,
{
    let log = Arc::new(Mutex::new(Log {
        attempts: Vec::new(),
        taken: Vec::new(),
        messages: 0,
        _message: std::marker::PhantomData,
    }));
    let desk = Desk::new("sink", queue);
    let receiver = Receiver { answer: Arc::new(answer), start: Instant::now(), log: log.clone(), sequences, takes };
    let stop = CancellationToken::new();
    let task = tokio::spawn(desk.clone().deliver(receiver, stop.clone()));
    Stage { desk, log, stop, task }
}

fn webhook(room: usize) -> Outbox {
    Outbox::new(outbox::Limits { group_wait: SECOND, cool_down: Duration::ZERO, room, most: room })
}

fn of_message(message: &outbox::Message) -> Vec<(u64, bool)> {
    message.told.iter().map(|told| (told.notice.sequence, told.notice.is_raised())).collect()
}

fn of_batch(batch: &standing::Batch) -> Vec<(u64, bool)> {
    batch.notices.iter().map(|notice| (notice.sequence, notice.is_raised())).collect()
}

fn down_until(second: u32) -> impl Fn(Duration) -> Answer {
    move |at| if at < second * SECOND { Err((Reason::Connect, None)) } else { Ok(()) }
}

const DOWN: u32 = 300;

#[tokio::test(start_paused = true)]
async fn five_minutes_down_and_nothing_is_lost_within_the_bound() {
    let stage = stage(webhook(200), of_message, Duration::ZERO, down_until(DOWN));
    for n in 0..150 {
        stage.desk.leave(&raised(n, [LockConvoy, LongWindow][n as usize % 2], &format!("c{n}")));
        tokio::time::sleep(2 * SECOND).await;
    }
    tokio::time::sleep(40 * SECOND).await;
    let figures = stage.desk.figures();
    let log = stage.log.lock().unwrap();
    let mut taken: Vec<u64> = log.taken.iter().map(|(sequence, _)| *sequence).collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..150).collect::<Vec<_>>());
    assert!(log.messages <= 4, "one message a class of all that waited: {}", log.messages);
    assert_eq!((figures.dropped, figures.waiting), (0, 0));
    assert_eq!(figures.sent, log.messages as u64);
    assert_eq!(figures.failures[Reason::Connect as usize] + figures.sent, log.attempts.len() as u64);
    // Half a second to thirty between attempts, and never more.
    let gaps: Vec<Duration> = log.attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap <= 31 * SECOND), "{gaps:?}");
    assert!((12..35).contains(&log.attempts.len()), "{:?}", log.attempts);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bound_drops_are_counted_and_the_gravest_stay() {
    let stage = stage(webhook(20), of_message, Duration::ZERO, down_until(DOWN));
    stage.desk.leave(&critical(0, UffdStuck, "grave"));
    for n in 1..=100 {
        stage.desk.leave(&raised(n, LockConvoy, &format!("c{n}")));
        tokio::time::sleep(2 * SECOND).await;
    }
    tokio::time::sleep(200 * SECOND).await;
    let figures = stage.desk.figures();
    let log = stage.log.lock().unwrap();
    let taken: Vec<u64> = log.taken.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(taken.len() as u64 + figures.dropped, 101);
    assert_eq!((taken.len(), figures.waiting), (20, 0));
    assert!(taken.contains(&0) && taken.contains(&100), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn an_alertmanager_that_was_down_hears_what_stands_and_what_ended() {
    let limits = standing::Limits { resend: 60 * SECOND, raised: 100, cleared: 100 };
    let stage = stage(Standing::new(limits), of_batch, Duration::ZERO, down_until(DOWN));
    stage.desk.leave(&raised(1, LockConvoy, "stays"));
    stage.desk.leave(&raised(2, LockConvoy, "ends"));
    tokio::time::sleep(100 * SECOND).await;
    stage.desk.leave(&cleared(3, LockConvoy, "ends"));
    assert_eq!(stage.desk.figures().waiting, 2);
    tokio::time::sleep(235 * SECOND).await;
    {
        let log = stage.log.lock().unwrap();
        let mut taken = log.taken.clone();
        taken.sort_unstable();
        assert_eq!(taken, [(1, true), (3, false)]);
    }
    tokio::time::sleep(300 * SECOND).await;
    let figures = stage.desk.figures();
    let log = stage.log.lock().unwrap();
    let again = log.taken.iter().filter(|told| **told == (1, true)).count();
    assert!((5..=7).contains(&again), "once a minute: {again}");
    let ends = log.taken.len() - again;
    assert_eq!((ends, figures.dropped, figures.waiting), (1 + standing::MISSED as usize, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_time_gets_it_and_who_refuses_is_asked_no_more() {
    let stage = stage(webhook(10), of_message, Duration::ZERO, |at| match at.as_secs() {
        0..10 => Err((Reason::Status, Some(20 * SECOND))),
        _ => Err((Reason::Refused, None)),
    });
    stage.desk.leave(&raised(1, LockConvoy, "a"));
    tokio::time::sleep(60 * SECOND).await;
    let log = stage.log.lock().unwrap();
    assert_eq!(log.attempts.iter().map(Duration::as_secs).collect::<Vec<_>>(), [1, 21]);
    let figures = stage.desk.figures();
    assert_eq!((figures.dropped, figures.waiting), (1, 0));
    assert_eq!((figures.failures[Reason::Status as usize], figures.failures[Reason::Refused as usize]), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_waits_is_told_at_once() {
    let stage = stage(webhook(10), of_message, SECOND / 10, |_| Ok(()));
    stage.desk.leave(&raised(1, LockConvoy, "a"));
    stage.desk.leave(&raised(2, LongWindow, "a"));
    let before = Instant::now();
    stage.stop.cancel();
    stage.task.await.unwrap();
    assert_eq!(before.elapsed(), SECOND / 5, "two messages, and no wait for more");
    assert_eq!(stage.log.lock().unwrap().taken.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_one_that_is_down_gets_one_more_chance() {
    let stage = stage(webhook(10), of_message, Duration::ZERO, |_| Err((Reason::Connect, None)));
    stage.desk.leave(&raised(1, LockConvoy, "a"));
    stage.desk.leave(&raised(2, LongWindow, "a"));
    tokio::time::sleep(SECOND * 3 / 2).await;
    assert_eq!(stage.log.lock().unwrap().attempts.len(), 1);
    stage.stop.cancel();
    stage.task.await.unwrap();
    assert_eq!(stage.log.lock().unwrap().attempts.len(), 2);
    assert_eq!(stage.desk.figures().waiting, 2);
}
