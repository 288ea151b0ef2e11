//! Characters that run into each other (`__`, `--`), which CTC sees as one: counted by the pitch of a monospaced line.

use super::ctc::Step;

/// Characters that touch their like.
const JOINED: [&str; 2] = ["_", "-"];
/// A line is monospaced if it has at least so many neighbours without a space between them, …
const NEIGHBOURS: usize = 6;
/// … and at least this share of them stand one pitch apart, …
const REGULAR: f32 = 0.75;
/// … up to this share of it: places are known to half a step of the network, a fifth of a usual pitch.
const TOLERANCE: f32 = 0.28;

/// Puts in the characters that a line's pitch has room for, beside their like. Lines that aren't monospaced stay as they
/// are.
pub(super) fn part_joined(steps: Vec<Step>) -> Vec<Step> {
    // Names of programs have lines at both ends. A single one may be a gap or a rule.
    let runs = |text: &str| {
        let begins = |at: usize| at == 0 || steps[at - 1].text != text;
        (0..steps.len())
            .filter(|&at| steps[at].text == text && begins(at))
            .count()
    };
    let names = runs("_") > 1;
    let Some(pitch) = (names || runs("-") > 0).then(|| pitch(&steps)).flatten() else {
        return steps;
    };
    let mut parted: Vec<Step> = Vec::with_capacity(steps.len() + 4);
    let mut at = 0;
    while at < steps.len() {
        let step = &steps[at];
        let run = steps[at..]
            .iter()
            .take_while(|s| s.text == step.text)
            .count();
        parted.extend_from_slice(&steps[at..at + run]);
        // Options begin with two; between words it may be a dash, which is long anyway.
        let option = step.text == "-" && (at == 0 || steps[at - 1].text.trim().is_empty());
        if option || (names && step.text == "_") {
            let missing = missing(&steps, at..at + run, pitch);
            let last = parted.len() - 1;
            for count in 1..=missing {
                let mut copy = step.clone();
                copy.center = parted[last].center + pitch * 0.5 * count as f32 / missing as f32;
                copy.space_before = 0.0;
                parted.push(copy);
            }
        }
        at += run;
    }
    parted
}

/// How many characters stand between the neighbours of a run beyond those that were read.
fn missing(steps: &[Step], run: std::ops::Range<usize>, pitch: f32) -> usize {
    let is_space = |s: &Step| s.text.trim().is_empty();
    let before = steps[..run.start].iter().rev().find(|s| !is_space(s));
    let after = steps[run.end..].iter().find(|s| !is_space(s));
    let (Some(before), Some(after)) = (before, after) else {
        return 0;
    };
    let cells = ((after.center - before.center) / pitch).round() as usize;
    // A space is at least one cell, whether it was read or only left a trace.
    let space = |read: bool, trace: f32| usize::from(read || trace > TRACE);
    let first = space(
        run.start > 0 && is_space(&steps[run.start - 1]),
        steps[run.start].space_before,
    );
    let last = steps
        .get(run.end)
        .map_or(0, |next| space(is_space(next), next.space_before));
    cells.saturating_sub(1 + run.len() + first + last).min(MOST)
}

/// From this probability on a space may stand where none was read.
const TRACE: f32 = 0.15;
/// Longer runs are rules: no more than this is put in.
const MOST: usize = 2;

/// The distance between the characters of a monospaced line, px.
fn pitch(steps: &[Step]) -> Option<f32> {
    let readable = |s: &Step| !s.text.trim().is_empty() && !JOINED.contains(&s.text.as_str());
    let mut distances: Vec<f32> = steps
        .windows(2)
        .filter(|pair| readable(&pair[0]) && readable(&pair[1]))
        .map(|pair| pair[1].center - pair[0].center)
        .collect();
    if distances.len() < NEIGHBOURS {
        return None;
    }
    distances.sort_by(f32::total_cmp);
    let usual = distances[distances.len() / 2];
    let regular: Vec<f32> = distances
        .iter()
        .copied()
        .filter(|distance| (distance - usual).abs() <= TOLERANCE * usual)
        .collect();
    let pitch = regular.iter().sum::<f32>() / regular.len().max(1) as f32;
    (pitch > 0.0 && regular.len() as f32 >= REGULAR * distances.len() as f32).then_some(pitch)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of a text at a pitch of 10 px, without what stands at some places.
    fn steps(text: &str, unread: &[usize], at: impl Fn(usize) -> f32) -> Vec<Step> {
        text.chars()
            .enumerate()
            .filter(|(place, _)| !unread.contains(place))
            .map(|(place, c)| Step {
                text: c.to_string(),
                center: at(place),
                confidence: 0.9,
                space_before: 0.0,
            })
            .collect()
    }

    fn text(steps: &[Step]) -> String {
        steps.iter().map(|s| s.text.as_str()).collect()
    }

    #[test]
    fn joined_characters_are_counted_by_the_pitch() {
        let even = |place: usize| place as f32 * 10.0 + 5.0;
        let code = "if __name__ == \"__main__\":";
        let read = steps(code, &[4, 10, 17, 22], even);
        assert_eq!(text(&read), "if _name_ == \"_main_\":");
        assert_eq!(text(&part_joined(read)), code);
        let whole = steps(code, &[], even);
        assert_eq!(text(&part_joined(whole)), code);
        let option = "ls --all --color src";
        assert_eq!(text(&part_joined(steps(option, &[4, 10], even))), option);
        // Single ones stay single, also at the ends.
        let rule = "SUB-TOTAL__(GST)";
        assert_eq!(
            text(&part_joined(steps(rule, &[10], even))),
            "SUB-TOTAL_(GST)"
        );
        let dash = "start recording-- then stop";
        assert_eq!(
            text(&part_joined(steps(dash, &[16], even))),
            "start recording- then stop"
        );
        let single = "_a snake_case-name_";
        assert_eq!(text(&part_joined(steps(single, &[], even))), single);
    }

    #[test]
    fn proportional_lines_stay_as_they_are() {
        let uneven = |place: usize| place as f32 * 10.0 + [0.0, 4.0, 1.0, 6.0][place % 4];
        let read = steps("if __name__ == main", &[4, 10], uneven);
        let before = text(&read);
        assert_eq!(text(&part_joined(read)), before);
    }
}
