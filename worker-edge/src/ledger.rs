//! What is in use right now. A request whose caller has gone is never heard of again, so every entry ends by itself.

/// Entries end after this, ms.
const LONGEST: u64 = 60_000;

/// Amounts, and since when.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Vec<(u64, u64)>);

impl Ledger {
    /// Begins to use an amount.
    pub fn add(&mut self, amount: u64, now: u64) {
        self.0.retain(|(_, since)| now < since + LONGEST);
        self.0.push((amount, now));
    }

    /// Ends to use it.
    pub fn remove(&mut self, amount: u64) {
        if let Some(at) = self.0.iter().position(|(a, _)| *a == amount) {
            self.0.swap_remove(at);
        }
    }

    /// All that is in use.
    pub fn sum(&self, now: u64) -> u64 {
        let lasting = self.0.iter().filter(|(_, since)| now < since + LONGEST);
        lasting.map(|(amount, _)| amount).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_ends_by_itself() {
        let mut ledger = Ledger::default();
        ledger.add(5, 0);
        ledger.add(7, 10);
        assert_eq!(ledger.sum(10), 12);
        ledger.remove(5);
        ledger.remove(9);
        assert_eq!(ledger.sum(10), 7);
        assert_eq!(ledger.sum(10 + LONGEST), 0);
        ledger.add(1, 10 + LONGEST);
        assert_eq!(ledger.0.len(), 1);
    }
}
