//! "Did you mean": the known word nearest to a mistyped one.

/// The nearest of the known words, if it is near enough to be meant.
#[must_use]
pub fn did_you_mean<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A word three times as long as a DNS name is no slip of the finger; the bound keeps the
    // quadratic distance cheap.
    if typed.len() > 255 {
        return None;
    }
    let allowed = 1 + typed.chars().count() / 5;
    known
        .into_iter()
        .map(|word| (distance(typed, word), word))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edits from one word to another: insert, delete, replace, swap neighbours (optimal string
/// alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = usize::from(a[i - 1] != b[j - 1]);
            let mut least =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + replace);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested() {
        let known = ["threshold", "hysteresis", "clusters", "ttl"];
        assert_eq!(did_you_mean("thresold", known), Some("threshold"));
        assert_eq!(did_you_mean("cluster", known), Some("clusters"));
        assert_eq!(did_you_mean("tlt", known), Some("ttl"));
        assert_eq!(did_you_mean("banana", known), None);
    }
}
