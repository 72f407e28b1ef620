//! Texts of strangers, made fit for a log, a terminal and a table.

/// At most so many characters of it, and none that a terminal obeys: those are written as `\u{1b}`. What was
/// cut off is told by `...`.
#[must_use]
pub fn legible(text: &str, characters_max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(characters_max));
    let mut characters = text.chars();
    for character in characters.by_ref().take(characters_max) {
        match character {
            // What is quoted stays as it was.
            '"' | '\'' | '\\' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if characters.next().is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (text, shown) in [
            ("", ""),
            ("it's \"fra1\" \\ ä", "it's \"fra1\" \\ ä"),
            ("\u{1b}]0;x\u{7}", "\\u{1b}]0;x\\u{7}"),
            // Control characters of eight bits, a line of one's own, and text that runs backwards.
            ("\u{9b}1m\r\nPROBLEM", "\\u{9b}1m\\r\\nPROBLEM"),
            ("\u{202e}abc", "\\u{202e}abc"),
        ] {
            assert_eq!(legible(text, 100), shown, "{text:?}");
        }
        assert_eq!(legible("äöü", 3), "äöü");
        assert_eq!(legible("äöüß", 3), "äöü...");
    }
}
