//! Characters → words → lines, by where they stand; the order in which a file draws them is a hint only.

use std::collections::HashMap;

use crate::document::{Line, Word};
use crate::geometry::{Point, Quad};
use crate::page::{LayerGlyph, TextLayer};
use crate::recognise::{self, bidi};

/// A gap this wide between two characters is a space, ems. Words stand .2 to .4 apart, letters rarely .1.
const SPACE: f32 = 0.17;
/// A gap this wide ends a line: a column's gutter, or another cell of a table. Ems.
const BREAK: f32 = 1.1;
/// How far a character may stand off the line of the last one: indices and exponents do. Ems.
const OFF_LINE: f32 = 0.45;
/// Distance of vertical characters, from middle to middle at most, ems.
const DOWN: f32 = 1.3;

/// The lines of a layer; with `visible`, those of what is painted, else of all. Lines come in the order of the file.
/// Their confidence is 1.
pub fn lines(layer: &TextLayer, visible: bool) -> Vec<Line> {
    let mut runs: Vec<Run> = Vec::new();
    for glyph in &layer.glyphs {
        if glyph.visible || !visible {
            push(&mut runs, glyph);
        }
    }
    merge(runs).into_iter().filter_map(line).collect()
}

/// A character that goes into a line.
struct Placed {
    text: String,
    quad: Quad,
    size: f32,
    /// Whether a space stands before it.
    spaced: bool,
}

impl Placed {
    fn start(&self) -> Point {
        self.quad.0[0].lerp(self.quad.0[3], 0.5)
    }

    fn end(&self) -> Point {
        self.quad.0[1].lerp(self.quad.0[2], 0.5)
    }
}

/// Characters that follow each other along a line.
struct Run {
    placed: Vec<Placed>,
    /// Unit vectors along the text and across it, downwards.
    along: Point,
    down: Point,
    vertical: bool,
    /// A space came after the last character.
    space: bool,
}

fn dot(a: Point, b: Point) -> f32 {
    a.x * b.x + a.y * b.y
}

fn minus(a: Point, b: Point) -> Point {
    Point::new(a.x - b.x, a.y - b.y)
}

/// Unit vectors along and across a character's box.
fn frame(quad: &Quad) -> Option<(Point, Point)> {
    let across = minus(quad.0[3], quad.0[0]);
    let height = across.x.hypot(across.y);
    if !(height.is_finite() && height > 1e-3) {
        return None;
    }
    let down = Point::new(across.x / height, across.y / height);
    let mut along = Point::new(down.y, -down.x);
    // A mirrored box would run the other way.
    if dot(minus(quad.0[1], quad.0[0]), along) < 0.0 {
        along = Point::new(-along.x, -along.y);
    }
    Some((along, down))
}

fn push(runs: &mut Vec<Run>, glyph: &LayerGlyph) {
    if glyph.text.chars().all(char::is_whitespace) {
        if !glyph.text.is_empty()
            && let Some(run) = runs.last_mut()
        {
            run.space = true;
        }
        return;
    }
    let Some((along, down)) = frame(&glyph.quad) else {
        return;
    };
    let placed = Placed {
        text: readable(&glyph.text),
        quad: glyph.quad,
        size: glyph.size.max(1.0),
        spaced: false,
    };
    if placed.text.is_empty() {
        return;
    }
    if let Some(run) = runs.last_mut()
        && let Some(spaced) = run.takes(&placed, along)
    {
        let spaced = spaced || std::mem::take(&mut run.space);
        run.space = false;
        run.placed.push(Placed { spaced, ..placed });
        return;
    }
    runs.push(Run {
        placed: vec![placed],
        along,
        down,
        vertical: false,
        space: false,
    });
}

/// Ligatures apart, private and control characters gone.
fn readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{fb00}' => out.push_str("ff"),
            '\u{fb01}' => out.push_str("fi"),
            '\u{fb02}' => out.push_str("fl"),
            '\u{fb03}' => out.push_str("ffi"),
            '\u{fb04}' => out.push_str("ffl"),
            '\u{fb05}' | '\u{fb06}' => out.push_str("st"),
            '\u{ad}' => out.push('-'),
            '\u{a0}' => out.push(' '),
            '\u{e000}'..='\u{f8ff}' | '\u{fffd}' | '\u{200b}' | '\u{feff}' => {}
            c if c.is_control() => {}
            c => out.push(ideograph(c)),
        }
    }
    out
}

/// The ideograph that a radical stands for: fonts with one glyph for both are often mapped to the radical, which nobody
/// types.
fn ideograph(c: char) -> char {
    /// U+2F00 on, as their compatibility decompositions in Unicode have it.
    const KANGXI: &str = "一丨丶丿乙亅二亠人儿入八冂冖冫几凵刀力勹匕匚匸十卜卩厂厶又口囗土士夂夊夕大女子宀寸小尢尸屮山巛工己巾干幺广廴廾弋弓彐彡彳心戈戶手支攴文斗斤方无日曰月木欠止歹殳毋比毛氏气水火爪父爻爿片牙牛犬玄玉瓜瓦甘生用田疋疒癶白皮皿目矛矢石示禸禾穴立竹米糸缶网羊羽老而耒耳聿肉臣自至臼舌舛舟艮色艸虍虫血行衣襾見角言谷豆豕豸貝赤走足身車辛辰辵邑酉釆里金長門阜隶隹雨靑非面革韋韭音頁風飛食首香馬骨高髟鬥鬯鬲鬼魚鳥鹵鹿麥麻黃黍黑黹黽鼎鼓鼠鼻齊齒龍龜龠";
    /// Of the supplement, those that are characters of their own (EquivalentUnifiedIdeograph.txt).
    const OTHERS: &str = "⺠民⻁虎⻄西⻅见⻆角⻉贝⻋车⻑長⻓长⻔门⻘青⻙韦⻚页⻛风⻜飞⻝食⻢马⻣骨⻤鬼⻥鱼⻦鸟⻧卤⻨麦⻩黄⻬齐⻮齿⻯竜⻰龙⻳龟";
    match c {
        '\u{2f00}'..='\u{2fd5}' => KANGXI.chars().nth(c as usize - 0x2f00).unwrap_or(c),
        '\u{2e80}'..='\u{2ef3}' => {
            let place = OTHERS.chars().step_by(2).position(|radical| radical == c);
            place
                .and_then(|at| OTHERS.chars().nth(2 * at + 1))
                .unwrap_or(c)
        }
        c => c,
    }
}

impl Run {
    /// Whether a character goes on with the run, and if so, whether after a space.
    fn takes(&mut self, next: &Placed, along: Point) -> Option<bool> {
        let last = self.placed.last()?;
        if dot(along, self.along) < 0.99 {
            return None;
        }
        let size = last.size.max(next.size);
        let step = minus(next.start(), last.end());
        let (gap, off) = (dot(step, self.along), dot(step, self.down).abs());
        if !self.vertical && off < OFF_LINE * size && gap > -0.6 * size && gap < BREAK * size {
            return Some(gap > SPACE * last.size.min(next.size));
        }
        let step = minus(next.quad.center(), last.quad.center());
        let (aside, down) = (dot(step, self.along).abs(), dot(step, self.down));
        let upright = recognise::is_unspaced(&next.text) || self.vertical;
        let fits = aside < 0.4 * size && down > 0.4 * size && down < DOWN * size;
        if upright && fits && (self.vertical || self.placed.len() == 1) {
            self.vertical = true;
            return Some(false);
        }
        None
    }

    fn start(&self) -> f32 {
        self.placed
            .first()
            .map_or(0.0, |p| dot(p.start(), self.along))
    }

    fn end(&self) -> f32 {
        let ends = self.placed.iter().map(|p| dot(p.end(), self.along));
        ends.fold(f32::MIN, f32::max)
    }

    /// Its place across the text: the median, so that indices don't count.
    fn level(&self) -> f32 {
        let mut levels: Vec<f32> = self
            .placed
            .iter()
            .map(|p| dot(p.start(), self.down))
            .collect();
        levels.sort_by(f32::total_cmp);
        levels.get(levels.len() / 2).copied().unwrap_or(0.0)
    }

    fn size(&self) -> f32 {
        self.placed.iter().map(|p| p.size).fold(0.0, f32::max)
    }

    fn text(&self) -> String {
        self.placed.iter().map(|p| p.text.as_str()).collect()
    }
}

/// Joins runs that stand on one line side by side, and drops those drawn twice to look bold.
fn merge(runs: Vec<Run>) -> Vec<Run> {
    /// Height of a strip in which runs are looked up, px.
    const STRIP: f32 = 4.0;
    let mut lines: Vec<Run> = Vec::new();
    let mut strips: HashMap<(i32, i32), Vec<usize>> = HashMap::new();
    let mut order: Vec<usize> = (0..runs.len()).collect();
    let starts: Vec<f32> = runs.iter().map(Run::start).collect();
    order.sort_by(|&a, &b| starts[a].total_cmp(&starts[b]));
    let mut runs: Vec<Option<Run>> = runs.into_iter().map(Some).collect();
    // The line's place in the file is that of its first run.
    let mut places: Vec<usize> = Vec::new();
    for place in order {
        let Some(run) = runs[place].take() else {
            continue;
        };
        let angle = (run.along.y.atan2(run.along.x).to_degrees() / 2.0).round() as i32;
        let level = run.level();
        let strip = (level / STRIP) as i32;
        let reach = ((OFF_LINE * run.size() / STRIP).ceil() as i32).clamp(1, 16);
        let mut taken = None;
        if !run.vertical {
            let near = (strip - reach..=strip + reach)
                .filter_map(|s| strips.get(&(angle, s)))
                // The last ones end furthest along.
                .flat_map(|lines| lines.iter().rev().take(8));
            for &index in near {
                let line: &Run = &lines[index];
                let size = line.size().max(run.size());
                let small = line.size().min(run.size());
                let gap = run.start() - line.end();
                let off = (line.level() - level).abs();
                let twice = off < 0.2 * small && gap < 0.0 && {
                    let text = line.text();
                    text.ends_with(&run.text()) && run.end() < line.end() + 0.3 * size
                };
                if twice {
                    taken = Some((index, true));
                    break;
                }
                if off < 0.35 * size && gap > -0.3 * small && gap < BREAK.min(1.0) * small {
                    taken = Some((index, false));
                    break;
                }
            }
        }
        match taken {
            Some((_, true)) => {}
            Some((index, false)) => {
                let line = &mut lines[index];
                let gap = run.start() - line.end();
                let spaced = line.space || gap > SPACE * line.size().min(run.size());
                line.space = run.space;
                let mut placed = run.placed;
                if let Some(first) = placed.first_mut() {
                    first.spaced = spaced;
                }
                line.placed.extend(placed);
                places[index] = places[index].min(place);
            }
            None => {
                if !run.vertical {
                    strips.entry((angle, strip)).or_default().push(lines.len());
                }
                places.push(place);
                lines.push(run);
            }
        }
    }
    let mut numbered: Vec<(usize, Run)> = places.into_iter().zip(lines).collect();
    numbered.sort_by_key(|(place, _)| *place);
    numbered.into_iter().map(|(_, line)| line).collect()
}

fn line(run: Run) -> Option<Line> {
    let (along, down, vertical) = (run.along, run.down, run.vertical);
    // With their spaces, as they lie.
    let mut items: Vec<(String, Option<Quad>)> = Vec::new();
    for placed in run.placed {
        if placed.spaced && !items.is_empty() {
            items.push((" ".into(), None));
        }
        items.push((placed.text, Some(placed.quad)));
    }
    let items = logical(items, along);
    let mut words: Vec<(String, Vec<Quad>)> = Vec::new();
    let mut text = String::new();
    let (mut open, mut before) = (false, false);
    for (part, quad) in items {
        let Some(quad) = quad else {
            open = false;
            text.push(' ');
            continue;
        };
        text.push_str(&part);
        let wide = recognise::is_unspaced(&part);
        match words.last_mut() {
            Some((word, quads)) if open && wide == before => {
                word.push_str(&part);
                quads.push(quad);
            }
            _ => words.push((part, vec![quad])),
        }
        open = true;
        before = wide;
    }
    let around = |quads: &[Quad]| around(quads, along, down);
    let all: Vec<Quad> = words.iter().flat_map(|(_, quads)| quads.clone()).collect();
    if text.trim().is_empty() {
        return None;
    }
    Some(Line {
        text,
        confidence: 1.0,
        quad: around(&all),
        words: words
            .into_iter()
            .map(|(text, quads)| Word {
                text,
                confidence: 1.0,
                quad: around(&quads),
            })
            .collect(),
        vertical,
    })
}

/// Text of right-to-left scripts in the order in which it is read; files draw it in any.
fn logical(items: Vec<(String, Option<Quad>)>, along: Point) -> Vec<(String, Option<Quad>)> {
    if !items.iter().any(|(text, _)| bidi::runs_left(text)) {
        return items;
    }
    let mut place = f32::MIN;
    let mut placed: Vec<(f32, (String, Option<Quad>))> = items
        .into_iter()
        .map(|item| {
            if let Some(quad) = &item.1 {
                place = dot(quad.center(), along);
            }
            (place, item)
        })
        .collect();
    placed.sort_by(|a, b| a.0.total_cmp(&b.0));
    let quads: Vec<Option<Quad>> = placed.iter().map(|(_, (_, quad))| *quad).collect();
    let mut glyphs: Vec<recognise::Glyph> = placed
        .into_iter()
        .enumerate()
        .map(|(index, (_, (text, _)))| recognise::Glyph {
            text,
            start: index as f32,
            end: index as f32,
            confidence: 1.0,
        })
        .collect();
    bidi::logical(&mut glyphs);
    glyphs
        .into_iter()
        .map(|g| (g.text, quads[g.start as usize]))
        .collect()
}

/// The rectangle around quads, in the frame of the text.
fn around(quads: &[Quad], along: Point, down: Point) -> Quad {
    let mut r = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
    for p in quads.iter().flat_map(|q| q.0) {
        let (x, y) = (dot(p, along), dot(p, down));
        r = [r[0].min(x), r[1].min(y), r[2].max(x), r[3].max(y)];
    }
    let at = |x: f32, y: f32| Point::new(x * along.x + y * down.x, x * along.y + y * down.y);
    Quad([
        at(r[0], r[1]),
        at(r[2], r[1]),
        at(r[2], r[3]),
        at(r[0], r[3]),
    ])
}

#[cfg(test)]
mod tests;
