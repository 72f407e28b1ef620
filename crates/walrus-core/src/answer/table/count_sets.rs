//! How many answer sets a service has: what signing ahead costs.

use super::AnswerTable;

impl AnswerTable {
    /// The most sets of several servers that are to be signed for a service under this Plan; answers
    /// with the same servers of different rings are counted twice.
    #[must_use]
    pub fn answer_sets(&self, service: u32) -> usize {
        let Some(table) = self.service(service) else { return 0 };
        let mut sets = 0;
        for list in table.lists() {
            let answers: Vec<(u32, u32)> =
                list.answers().map(|answer| (answer.ring, answer.servers)).collect();
            for ring in answers.chunk_by(|one, other| one.0 == other.0) {
                // All servers of a ring are one set, whoever comes first.
                let is_whole = list.overlaps() && ring[0].1 as usize == ring.len();
                sets += if is_whole { 1 } else { ring.len() };
            }
        }
        sets
    }
}
