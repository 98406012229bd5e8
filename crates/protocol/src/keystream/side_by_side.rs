//! The loop over groups, written once and compiled for each kind of vector.

/// Makes `combine_groups` of what the file that calls this has: `Vector`, its `LANES`, how many `STRIPS` of as many
/// blocks are made together, and `splat`, `load`, `store`, `add`, `xor` and `rotate`. The attributes given are those of
/// every function.
///
/// Several strips are made together since the steps of one wait for each other: a processor has more to do meanwhile.
macro_rules! side_by_side {
    ($(#[$attribute:meta])+) => {
        /// Groups that are combined together.
        const TOGETHER: usize = (STRIPS * LANES).div_ceil(BLOCKS);

        /// Adds the blocks from that of `state` on to what entries are when xored with `flip`; gives how many entries
        /// that were, those of whole groups.
        $(#[$attribute])+
        fn combine_groups(state: &[u32; BLOCK], flip: u32, entries: &mut [u32]) -> usize {
            let flip = splat(flip);
            let mut starts = starts(state);
            let passed = u32::try_from(STRIPS * LANES).expect("a few blocks");
            let rows = entries.as_chunks_mut::<BLOCKS>().0;
            let groups = rows.as_chunks_mut::<{ BLOCK * TOGETHER }>().0;
            for rows in &mut *groups {
                for first in (0..TOGETHER * BLOCKS / LANES).step_by(STRIPS) {
                    for (strip, words) in (first..).zip(permuted(&starts)) {
                        let (group, column) = (strip * LANES / BLOCKS, strip * LANES % BLOCKS);
                        for (row, word) in rows[group * BLOCK..].iter_mut().zip(words) {
                            let entries = row[column..].first_chunk_mut();
                            let entries = entries.expect("strips end where a row does");
                            let sum = add(xor(load(entries), flip), word);
                            store(entries, xor(sum, flip));
                        }
                    }
                    for start in &mut starts {
                        start[COUNTER] = add(start[COUNTER], splat(passed));
                    }
                }
            }
            groups.len() * TOGETHER * GROUP
        }

        /// The states of the first strips' blocks: word `i` of every block in vector `i`.
        $(#[$attribute])+
        fn starts(state: &[u32; BLOCK]) -> [[Vector; BLOCK]; STRIPS] {
            let mut places = 0..;
            let lanes = |_| std::array::from_fn(|_| places.next().expect("a few blocks"));
            let lanes: [[u32; LANES]; STRIPS] = std::array::from_fn(lanes);
            let mut starts = [state.map(|word| splat(word)); STRIPS];
            for (start, lanes) in starts.iter_mut().zip(&lanes) {
                start[COUNTER] = add(start[COUNTER], load(lanes));
            }
            starts
        }

        /// The block function of RFC 8439, section 2.3, of every strip.
        $(#[$attribute])+
        fn permuted(starts: &[[Vector; BLOCK]; STRIPS]) -> [[Vector; BLOCK]; STRIPS] {
            let mut strips = *starts;
            for _ in 0..10 {
                quarter_round::<0, 4, 8, 12>(&mut strips);
                quarter_round::<1, 5, 9, 13>(&mut strips);
                quarter_round::<2, 6, 10, 14>(&mut strips);
                quarter_round::<3, 7, 11, 15>(&mut strips);
                quarter_round::<0, 5, 10, 15>(&mut strips);
                quarter_round::<1, 6, 11, 12>(&mut strips);
                quarter_round::<2, 7, 8, 13>(&mut strips);
                quarter_round::<3, 4, 9, 14>(&mut strips);
            }
            for (words, start) in strips.iter_mut().zip(starts) {
                for (word, start) in words.iter_mut().zip(start) {
                    *word = add(*word, *start);
                }
            }
            strips
        }

        /// Section 2.1, of every strip.
        $(#[$attribute])+
        fn quarter_round<const A: usize, const B: usize, const C: usize, const D: usize>(
            strips: &mut [[Vector; BLOCK]; STRIPS],
        ) {
            for words in strips {
                words[A] = add(words[A], words[B]);
                words[D] = rotate::<16>(xor(words[D], words[A]));
                words[C] = add(words[C], words[D]);
                words[B] = rotate::<12>(xor(words[B], words[C]));
                words[A] = add(words[A], words[B]);
                words[D] = rotate::<8>(xor(words[D], words[A]));
                words[C] = add(words[C], words[D]);
                words[B] = rotate::<7>(xor(words[B], words[C]));
            }
        }
    };
}

pub(super) use side_by_side;
