//! What programs do with memory, in a pool.

use std::collections::HashMap;
use std::convert::Infallible;
use std::thread;

use palmd::health::{AllocatorCalls, thread_calls};
use palmd::inference::Pool;

/// Some of everything, of about `size` bytes; half of it outlives the scope.
fn work(size: usize) -> (Vec<u32>, HashMap<String, Box<[f32]>>) {
    #[repr(align(128))]
    struct Wide([u8; 200]);

    let mut grown = Vec::new();
    grown.extend(0..size as u32 / 8);
    let mut by_name = HashMap::new();
    for i in 0..size / 1000 {
        let zeros = vec![0.0; 20 + i].into_boxed_slice();
        assert!(zeros.iter().all(|x| *x == 0.0));
        by_name.insert(format!("number {i}"), zeros);
        by_name.values_mut().for_each(|values| values.fill(1.0));
    }
    let wide: Vec<Box<Wide>> = (0..20).map(|i| Box::new(Wide([i; 200]))).collect();
    for (i, wide) in wide.iter().enumerate() {
        assert_eq!(&raw const **wide as usize % 128, 0);
        assert_eq!(wide.0, [i as u8; 200]);
    }
    grown.shrink_to_fit();
    (grown, by_name)
}

fn pool_for(size: usize) -> Pool {
    let mut kept = None;
    let warm_up = || {
        kept = None;
        kept = Some(work(size));
        Ok::<_, Infallible>(())
    };
    let pool = Pool::warm_up(warm_up).expect("infallible");
    pool.expect("a pool, as there is work for it")
}

fn calls_of<T>(work: impl FnOnce() -> T) -> (T, AllocatorCalls) {
    let before = thread_calls();
    let done = work();
    (done, thread_calls() - before)
}

#[test]
fn work_that_was_tried_needs_no_system() {
    let size = 50_000;
    let mut pool = pool_for(size);
    assert!(pool.bytes() > size && pool.bytes() < 20 * size, "{pool:?}");
    let mut kept = None;
    for _ in 0..50 {
        let (_, calls) = calls_of(|| {
            // What the last round left is dropped outside of the scope, and goes back as well.
            drop(kept.take());
            kept = Some(pool.enter(|| work(size)));
        });
        assert!(
            calls.total() == 0 && calls.misses == 0 && calls.pooled > 100,
            "{calls:?}"
        );
    }
    let (grown, by_name) = kept.expect("the last round");
    assert!(grown.iter().enumerate().all(|(i, n)| i == *n as usize));
    thread::spawn(move || drop(by_name))
        .join()
        .expect("dropped");
    let (_, calls) = calls_of(|| pool.enter(|| drop(work(size))));
    assert_eq!((calls.total(), calls.misses), (0, 0));
    drop(pool);
    assert_eq!(grown.len(), size / 8);
}

#[test]
fn more_than_there_is_room_for_goes_to_the_system_and_is_counted() {
    let mut pool = pool_for(10_000);
    let ((grown, by_name), calls) = calls_of(|| pool.enter(|| work(1_000_000)));
    assert!(
        calls.misses > 0 && calls.total() >= calls.misses,
        "{calls:?}"
    );
    assert!(grown.iter().enumerate().all(|(i, n)| i == *n as usize));
    assert_eq!(by_name.len(), 1000);
}

#[test]
fn work_that_asks_nobody_has_no_pool() {
    let mut done = 0;
    let pool = Pool::warm_up(|| {
        done += 1;
        Ok::<_, Infallible>(())
    });
    assert!(pool.expect("infallible").is_none());
    assert_eq!(done, 2);
}
