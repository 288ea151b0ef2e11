//! What is in use right now. A request whose caller has gone is never heard of again, so every entry ends by itself.

/// Entries end after this, ms: longer than a body is read and a server waited for.
const LONGEST: u64 = 120_000;

/// Names an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Token(u64);

#[derive(Clone, Debug)]
struct Entry {
    token: Token,
    amount: u64,
    since: u64,
}

/// Amounts, and since when.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    next: u64,
}

impl Ledger {
    /// Begins to use an amount.
    pub fn add(&mut self, amount: u64, now: u64) -> Token {
        self.entries.retain(|e| now < e.since + LONGEST);
        let token = Token(self.next);
        self.next += 1;
        self.entries.push(Entry {
            token,
            amount,
            since: now,
        });
        token
    }

    /// Ends to use it.
    pub fn remove(&mut self, token: Token) {
        self.entries.retain(|e| e.token != token);
    }

    /// All that is in use.
    pub fn sum(&self, now: u64) -> u64 {
        let lasting = self.entries.iter().filter(|e| now < e.since + LONGEST);
        lasting.map(|e| e.amount).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_ends_by_itself() {
        let mut ledger = Ledger::default();
        let first = ledger.add(7, 0);
        let second = ledger.add(7, 10);
        assert_eq!(ledger.sum(10), 14);
        ledger.remove(second);
        ledger.remove(second);
        assert_eq!(ledger.sum(10), 7);
        // The second is gone, and not another of its size.
        assert_eq!(ledger.sum(LONGEST), 0);
        ledger.add(1, 10 + LONGEST);
        assert_eq!(ledger.entries.len(), 1);
        ledger.remove(first);
        assert_eq!(ledger.sum(10 + LONGEST), 1);
    }
}
