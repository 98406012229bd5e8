//! The longest loops of the aggregator, at a round's end, on all processors.
//!
//! A single vector is too little to share out: threads cost as much as they save (measured at a million weights).

use std::num::NonZeroUsize;
use std::thread;

/// What `work` makes of each item, in the items' order. Every processor gets as many neighbours of the list; with one
/// processor, or too little to share, no thread is made.
pub(crate) fn map<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let portion = items.len().div_ceil(processors()).max(1);
    if portion == items.len() {
        return items.into_iter().map(work).collect();
    }
    let work = &work;
    let mut items = items.into_iter();
    thread::scope(|scope| {
        let mut workers = Vec::new();
        while items.len() > 0 {
            let portion: Vec<T> = items.by_ref().take(portion).collect();
            workers
                .push(scope.spawn(move || -> Vec<R> { portion.into_iter().map(work).collect() }));
        }
        let results = workers.into_iter().map(|worker| worker.join());
        results
            .flat_map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Processors that this program may use.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        for count in [0, 1, 2, 3, 7, 100] {
            let items: Vec<usize> = (0..count).collect();
            let want: Vec<usize> = items.iter().map(|item| item * item).collect();
            assert_eq!(map(items, |item| item * item), want);
        }
    }

    #[test]
    fn items_may_be_parts_of_one_vector() {
        let mut vector = vec![1; 1000];
        map(vector.chunks_mut(64).zip(0..).collect(), |(part, place)| {
            part.iter_mut().for_each(|entry| *entry += place);
        });
        assert!(
            vector
                .iter()
                .enumerate()
                .all(|(place, entry)| *entry == 1 + place / 64)
        );
    }
}
