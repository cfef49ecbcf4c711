//! Random bytes for secrets and ids, from the kernel.

/// So many random bytes, in hex.
pub fn hex<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes once it has started");
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let [one, other] = [hex::<16>(), hex::<16>()];
        assert_eq!((one.len(), other.len()), (32, 32));
        assert_ne!(one, other);
    }
}
