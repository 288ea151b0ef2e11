//! A part of a long list, for one of several machines that know nothing of each other.

use std::str::FromStr;

use sha2::{Digest, Sha256};

/// Part `index` of `count`, written `INDEX/COUNT` and counted from 0, as Kubernetes counts its indexed jobs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// Whether it holds a file. The file's name alone decides, so a file stays in its part whatever else is added.
    pub fn holds(&self, name: &str) -> bool {
        let hash = Sha256::digest(name);
        let number = hash.iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b));
        number % self.count == self.index
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no part such as 0/8: INDEX from 0, below COUNT");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let number = |digits: &str| digits.parse::<u32>().map(u64::from).map_err(|_| wrong());
        let (index, count) = (number(index)?, number(count)?);
        if index >= count {
            return Err(wrong());
        }
        Ok(Self { index, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_one_part_and_parts_are_alike() {
        let names: Vec<String> = (0..2000).map(|i| format!("scans/{i}.png")).collect();
        let held = |index| {
            let shard = Shard { index, count: 8 };
            names.iter().filter(|n| shard.holds(n)).count()
        };
        let counts: Vec<usize> = (0..8).map(held).collect();
        assert_eq!(counts.iter().sum::<usize>(), names.len());
        assert!(counts.iter().all(|c| (180..320).contains(c)), "{counts:?}");
    }

    #[test]
    fn parts_are_stable() {
        // By SHA-256 of the name, its first 8 bytes, big-endian: a job may go on with another version.
        let of = |name| {
            (0..5).find(|index| {
                Shard {
                    index: *index,
                    count: 5,
                }
                .holds(name)
            })
        };
        let parts = ["a.png", "b.png", "c.png", "d/e.pdf"].map(of);
        assert_eq!(parts, [Some(2), Some(4), Some(3), Some(0)]);
    }

    #[test]
    fn only_parts_that_exist_are_taken() {
        assert_eq!("0/1".parse(), Ok(Shard { index: 0, count: 1 }));
        for wrong in [
            "",
            "1",
            "1/",
            "/2",
            "2/2",
            "0/0",
            "-1/2",
            "1/2/3",
            "a/b",
            "0/99999999999",
        ] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
