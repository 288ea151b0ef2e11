//! Where the tables of a page are.

use super::aligned::{self, TextRow};
use super::{Fragment, ruled};
use crate::document::Table;
use crate::structure::frame::{Box, Frame};
use crate::structure::rules::{Rules, Stroke};

/// A table on a page.
pub(crate) struct Found {
    pub table: Table,
    /// Around it, in the frame.
    pub area: Box,
    /// Its lines.
    pub lines: Vec<usize>,
}

/// Rules around more lines than this part articles rather than cells.
const LINES_OF_CELL: usize = 6;

/// Finds the tables of a page: ruled ones, ones between level rules, and rows that are aligned.
pub(crate) fn find(
    fragments: &[Fragment],
    rules: &Rules,
    frame: &Frame,
    text_height: f32,
) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for component in ruled::components(rules, text_height) {
        let area = component.area();
        if component.upright.len() < 2 && component.level.len() < 3 {
            continue;
        }
        let inside = within(fragments, &area, &found);
        let columns = component.upright.len();
        // Rules on all sides of every cell are a grid, whatever is written in it.
        let grid = columns >= 3 && component.level.len() >= 4;
        if columns >= 2
            && let Some((table, area, _)) = ruled::read(&component, &inside, frame, text_height)
            && table.rows * table.columns >= 4
            && table.columns >= 2
            && ((grid && inside.len() <= LINES_OF_CELL * table.cells.len()) || !is_prose(&inside))
        {
            push(&mut found, table, area, &inside);
        }
    }
    for area in between_rules(fragments, rules, &found, text_height) {
        let area = extended(fragments, area, &found, text_height);
        let inside = within(fragments, &area, &found);
        if let Some((table, area)) = aligned::read(&inside, rules, frame, text_height) {
            push(&mut found, table, area, &inside);
        }
    }
    for area in by_alignment(fragments, &found, text_height) {
        let inside = within(fragments, &area, &found);
        if let Some((table, area)) = aligned::read(&inside, rules, frame, text_height) {
            push(&mut found, table, area, &inside);
        }
    }
    found
}

/// The table that fills its picture. What stands outside its rules is text of its own.
pub(crate) fn whole(
    fragments: &[Fragment],
    rules: &Rules,
    frame: &Frame,
    text_height: f32,
) -> Option<Found> {
    let (table, area) = super::read(fragments, rules, frame, text_height)?;
    let mut found = Vec::new();
    let inside = within(fragments, &area, &found);
    push(&mut found, table, area, &inside);
    found.pop()
}

/// How much may be left around a table that fills its picture, text heights.
const MARGIN: f32 = 2.5;

/// Whether a picture shows a table and nothing else: somebody cut it out closely, and what it says stands in columns.
pub(crate) fn fills(
    fragments: &[Fragment],
    rules: &Rules,
    frame: &Frame,
    text_height: f32,
) -> bool {
    let strokes = rules
        .level
        .iter()
        .map(|s| (s.from, s.middle(), s.to, s.middle()));
    let upright = rules
        .upright
        .iter()
        .map(|s| (s.middle(), s.from, s.middle(), s.to));
    let edges = strokes.chain(upright);
    let text = fragments.iter().map(|f| f.area);
    let drawn = edges.map(|(x0, y0, x1, y1)| Box { x0, y0, x1, y1 });
    let Some(around) = text.chain(drawn).reduce(|a, b| a.with(&b)) else {
        return false;
    };
    let most = MARGIN * text_height;
    let closely = around.x0 < most
        && around.y0 < most
        && around.x1 > frame.width as f32 - most
        && around.y1 > frame.height as f32 - most;
    if !closely {
        return false;
    }
    let rows = aligned::text_rows(fragments);
    let several = rows.iter().filter(|r| r.fragments.len() >= 2).count();
    // A table has its columns from the start; receipts have a name and an address first.
    let headed = rows.iter().take(2).any(|r| r.fragments.len() >= 2);
    let columns = aligned::columns(&rows, text_height);
    // Where there are many columns, cells may have several lines.
    let share = if columns.len() >= 4 { 0.4 } else { 0.66 };
    // Two columns may be two of an article.
    let numbers = fragments.iter().filter(|f| f.is_number()).count();
    let wide = columns.len() >= 3 || (columns.len() == 2 && numbers * 3 >= fragments.len());
    rows.len() >= 3
        && headed
        && wide
        && several as f32 >= share * rows.len() as f32
        && !is_prose(fragments)
        && !listed(fragments)
        && lined_up(fragments, &columns, text_height)
}

fn push(found: &mut Vec<Found>, table: Table, area: Box, fragments: &[Fragment]) {
    let mut lines: Vec<usize> = fragments.iter().map(|f| f.line).collect();
    lines.dedup();
    lines.sort_unstable();
    lines.dedup();
    let area = fragments.iter().fold(area, |a, f| a.with(&f.area));
    found.push(Found { table, area, lines });
}

/// The fragments in an area whose lines no other table has.
fn within(fragments: &[Fragment], area: &Box, found: &[Found]) -> Vec<Fragment> {
    fragments
        .iter()
        .filter(|f| {
            let (x, y) = f.centre();
            x > area.x0 && x < area.x1 && y > area.y0 && y < area.y1
        })
        .filter(|f| !found.iter().any(|t| t.lines.contains(&f.line)))
        .cloned()
        .collect()
}

/// Whether fragments are lines of running text.
fn is_prose(fragments: &[Fragment]) -> bool {
    let length = |f: &Fragment| crate::structure::length(&f.text);
    let long = fragments.iter().filter(|f| length(f) > 25).count();
    // Lines of a column end at its edge, cells where their text ends.
    let full = fragments
        .iter()
        .filter(|f| {
            length(f) > 20
                && fragments
                    .iter()
                    .filter(|o| o.area.overlap_x(&f.area) > 0.5 * f.area.width())
                    .all(|o| o.area.x1 < f.area.x1 + 1.2 * f.area.height())
        })
        .count();
    if full * 2 > fragments.len() && fragments.len() > 8 {
        return true;
    }
    let small = fragments
        .iter()
        .filter(|f| f.text.chars().next().is_some_and(char::is_lowercase))
        .count();
    fragments.is_empty() || (long * 2 > fragments.len() && small * 4 > fragments.len())
}

/// Stretches between level rules of the same ends, with columns in most of their rows.
fn between_rules(
    fragments: &[Fragment],
    rules: &Rules,
    found: &[Found],
    text_height: f32,
) -> Vec<Box> {
    let mut strokes: Vec<&Stroke> = rules
        .level
        .iter()
        .filter(|s| s.length() > 4.0 * text_height)
        .filter(|s| {
            !found.iter().any(|f| {
                s.middle() > f.area.y0 - text_height
                    && s.middle() < f.area.y1 + text_height
                    && s.to > f.area.x0
                    && s.from < f.area.x1
            })
        })
        .collect();
    strokes.sort_by(|a, b| a.middle().total_cmp(&b.middle()));
    let mut out = Vec::new();
    let mut used = vec![false; strokes.len()];
    for first in 0..strokes.len() {
        if used[first] {
            continue;
        }
        let top = strokes[first];
        let mut bottom = first;
        let mut members = vec![first];
        for next in first + 1..strokes.len() {
            let s = strokes[next];
            let near = 1.5 * text_height;
            if used[next] || (s.from - top.from).abs() > near || (s.to - top.to).abs() > near {
                continue;
            }
            let area = Box {
                x0: top.from - text_height,
                x1: top.to + text_height,
                y0: strokes[bottom].middle(),
                y1: s.middle(),
            };
            let inside = within(fragments, &area, found);
            // An empty stretch as high as this parts two tables.
            let empty = inside.is_empty() && area.height() > 1.5 * text_height;
            if empty || (!inside.is_empty() && !tabular(&inside, text_height)) {
                break;
            }
            bottom = next;
            members.push(next);
        }
        if bottom == first {
            continue;
        }
        let area = Box {
            x0: top.from - text_height,
            x1: top.to + text_height,
            y0: top.middle().min(strokes[bottom].middle()) - 0.3 * text_height,
            y1: strokes[bottom].middle() + 0.3 * text_height,
        };
        let inside = within(fragments, &area, found);
        let rows = aligned::text_rows(&inside);
        if rows.len() >= 2 && tabular(&inside, text_height) {
            members.into_iter().for_each(|m| used[m] = true);
            out.push(area);
        }
    }
    out
}

/// An area with the rows that stand close above and below it and have its columns: those beyond the outermost rule.
fn extended(fragments: &[Fragment], area: Box, found: &[Found], text_height: f32) -> Box {
    let inside = within(fragments, &area, found);
    let rows = aligned::text_rows(&inside);
    let Some(around) = rows.iter().map(|r| r.area).reduce(|a, b| a.with(&b)) else {
        return area;
    };
    let mut out = area;
    for (from, to, above) in [
        (around.y0 - 2.4 * text_height, around.y0, true),
        (around.y1, around.y1 + 2.4 * text_height, false),
    ] {
        let strip = Box {
            y0: from,
            y1: to,
            ..area
        };
        let beyond = aligned::text_rows(&within(fragments, &strip, found));
        let next = if above { beyond.last() } else { beyond.first() };
        if let Some(row) = next
            && row.fragments.len() >= 2
            && (rows
                .iter()
                .all(|r| r.fragments.len() <= row.fragments.len() + 1)
                || sum(&rows, row, text_height))
            && rows.len() >= 2
            && follows(&rows, row, text_height)
        {
            out.y0 = out.y0.min(row.area.y0 - 1.0);
            out.y1 = out.y1.max(row.area.y1 + 1.0);
        }
    }
    out
}

/// Whether a row says a sum: a name, and numbers that end where the last column's do.
fn sum(rows: &[TextRow], row: &TextRow, text_height: f32) -> bool {
    let Some((name, numbers)) = row.fragments.split_first() else {
        return false;
    };
    let right = |r: &TextRow| r.fragments.last().map_or(f32::MIN, |f| f.area.x1);
    let edge = rows.iter().map(right).fold(f32::MIN, f32::max);
    !name.is_number()
        && name.text.chars().count() <= 32
        && !numbers.is_empty()
        && numbers.iter().all(Fragment::is_number)
        && (right(row) - edge).abs() < 0.7 * text_height
}

/// Whether most rows have several cells that stand in common columns. Words set apart by little count as cells, since
/// there are rules around them.
fn tabular(fragments: &[Fragment], text_height: f32) -> bool {
    let fragments = &aligned::narrow(fragments);
    let rows = aligned::text_rows(fragments);
    let several = rows.iter().filter(|r| r.fragments.len() >= 2).count();
    let columns = aligned::columns(&rows, text_height);
    columns.len() >= 2 && several * 5 >= rows.len() * 2 && several >= 1 && !is_prose(fragments)
}

/// Runs of rows whose cells are aligned, where no rule says that they are a table.
fn by_alignment(fragments: &[Fragment], found: &[Found], text_height: f32) -> Vec<Box> {
    let free: Vec<Fragment> = fragments
        .iter()
        .filter(|f| !found.iter().any(|t| t.lines.contains(&f.line)))
        .cloned()
        .collect();
    let mut out: Vec<Box> = Vec::new();
    for cluster in clusters(&free, text_height) {
        let rows = aligned::text_rows(&cluster);
        let mut at = 0;
        while at < rows.len() {
            let mut end = at + 1;
            let mut several = usize::from(rows[at].fragments.len() >= 2);
            if several == 0 {
                at += 1;
                continue;
            }
            while end < rows.len() {
                let gap = rows[end].area.y0 - rows[end - 1].area.y1;
                if gap > 2.0 * text_height || !follows(&rows[at..end], &rows[end], text_height) {
                    break;
                }
                several += usize::from(rows[end].fragments.len() >= 2);
                end += 1;
            }
            let run = &rows[at..end];
            let all: Vec<Fragment> = run.iter().flat_map(|r| r.fragments.clone()).collect();
            let numbers = all.iter().filter(|f| f.is_number()).count();
            let columns = aligned::columns(run, text_height);
            let wide = columns.len() >= 3 || (numbers * 3 >= all.len() && run.len() >= 3);
            if several >= 3
                && several * 3 >= run.len() * 2
                && wide
                && !is_prose(&all)
                && !listed(&all)
                && lined_up(&all, &columns, text_height)
            {
                if let Some(area) = run.iter().map(|r| r.area).reduce(|a, b| a.with(&b)) {
                    out.push(Box {
                        x0: area.x0 - 1.0,
                        y0: area.y0 - 1.0,
                        x1: area.x1 + 1.0,
                        y1: area.y1 + 1.0,
                    });
                }
                at = end;
            } else {
                at += 1;
            }
        }
    }
    out
}

/// Whether the columns have edges in common, as cells do and names set in the middle don't, or hold figures.
fn lined_up(fragments: &[Fragment], columns: &[aligned::Column], text_height: f32) -> bool {
    let digits = fragments
        .iter()
        .filter(|f| f.text.chars().any(|c| c.is_ascii_digit()))
        .count();
    if digits * 10 >= fragments.len() * 3 {
        return true;
    }
    let near = 0.6 * text_height;
    let mut shared = 0;
    for column in columns {
        let cells: Vec<&Fragment> = fragments
            .iter()
            .filter(|f| f.area.x0 < column.x1 && f.area.x1 > column.x0)
            .collect();
        let most = |edge: &dyn Fn(&Fragment) -> f32| {
            let at = |e: f32| cells.iter().filter(|f| (edge(f) - e).abs() < near).count();
            cells.iter().map(|f| at(edge(f))).max().unwrap_or(0)
        };
        shared += most(&|f| f.area.x0).max(most(&|f| f.area.x1));
    }
    shared * 10 >= fragments.len() * 7
}

/// Whether most fragments are sentences or marks of lists rather than cells.
fn listed(fragments: &[Fragment]) -> bool {
    let long = fragments
        .iter()
        .filter(|f| f.text.chars().count() > 40 || crate::structure::has_marker(&f.text))
        .count();
    long * 3 > fragments.len()
}

/// Whether a row has its cells where the rows above have theirs.
fn follows(above: &[TextRow], row: &TextRow, text_height: f32) -> bool {
    let near = 0.7 * text_height;
    let shared = row
        .fragments
        .iter()
        .filter(|f| {
            above
                .iter()
                .rev()
                .take(3)
                .flat_map(|r| &r.fragments)
                .any(|o| {
                    let centre = (f.area.x0 + f.area.x1 - o.area.x0 - o.area.x1).abs() / 2.0;
                    (f.area.x0 - o.area.x0).abs() < near
                        || (f.area.x1 - o.area.x1).abs() < near
                        || centre < near
                })
        })
        .count();
    let need = row.fragments.len().min(2);
    shared >= need && (shared >= 2 || row.fragments.len() * 3 >= above[0].fragments.len())
}

/// How far from its row's other cells a number may stand, text heights.
const FAR: f32 = 24.0;

/// Fragments that stand close enough together to be one table; an upright rule parts them.
fn clusters(fragments: &[Fragment], text_height: f32) -> Vec<Vec<Fragment>> {
    let n = fragments.len();
    let mut parent: Vec<usize> = (0..n).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| fragments[a].area.y0.total_cmp(&fragments[b].area.y0));
    for (k, &i) in order.iter().enumerate() {
        let a = &fragments[i];
        let long = |f: &Fragment| f.text.chars().count() > 32;
        for &j in &order[k + 1..] {
            let b = &fragments[j];
            if b.area.y0 > a.area.y1 + 2.0 * text_height {
                break;
            }
            let beside = a.area.overlap_y(&b.area) > 0.4 * a.area.height().min(b.area.height());
            let below = a.area.overlap_x(&b.area) > 0.0;
            let gap = -a.area.overlap_x(&b.area);
            // Lines of text side by side are columns.
            let cells = !(long(a) || long(b));
            // Sums stand at the right, however short what they are for is.
            let far = if a.is_number() || b.is_number() {
                FAR
            } else {
                9.0
            };
            if (beside && gap < far * text_height && cells)
                || (below && !beside && !(long(a) ^ long(b)))
            {
                let (x, y) = (root(&mut parent, i), root(&mut parent, j));
                parent[x.max(y)] = x.min(y);
            }
        }
    }
    let mut groups: std::collections::BTreeMap<usize, Vec<Fragment>> = Default::default();
    for (i, fragment) in fragments.iter().enumerate() {
        let r = root(&mut parent, i);
        groups.entry(r).or_default().push(fragment.clone());
    }
    groups.into_values().filter(|g| g.len() >= 6).collect()
}
