//! What stands on a simulated page: a large number, text, a table, a photo-like area.
//!
//! A page is a list of blocks in units of 1/300 inch, made from a seed. It is drawn one row at a
//! time while the encoder asks for rows, so that no bitmap of a page ever exists.

use jpeg_encoder::{ImageBuffer, JpegColorType};

use super::font;
use crate::scanner::{ColorMode, MediaSize, ScanSettings};

/// Luma, blue and red difference of a colour.
type Color = [u8; 3];
const PAPER: Color = [248, 128, 127];
const INK: Color = [34, 130, 127];
const BLUE: Color = [70, 178, 104];
const LINE: Color = [110, 128, 128];

const MARGIN: usize = 220;
const HEADER_TOP: u32 = 140;
const BLOCK_GAP: u32 = 70;
const TEXT_SCALE: u32 = 4;
const TABLE_ROW: u32 = 76;
const TABLE_COLUMN: usize = 510;
const RULE: u32 = 4;

const WORDS: [&str; 48] = [
    "account",
    "amount",
    "and",
    "annual",
    "are",
    "before",
    "branch",
    "by",
    "carried",
    "contract",
    "copy",
    "customer",
    "date",
    "delivered",
    "department",
    "each",
    "final",
    "for",
    "from",
    "goods",
    "have",
    "in",
    "invoice",
    "item",
    "letter",
    "month",
    "number",
    "of",
    "office",
    "on",
    "order",
    "our",
    "paid",
    "paper",
    "please",
    "quarter",
    "receipt",
    "returned",
    "service",
    "signed",
    "terms",
    "that",
    "the",
    "to",
    "total",
    "was",
    "with",
    "your",
];

/// A page ready to be drawn at any settings.
#[derive(Clone, Debug)]
pub(super) struct Page {
    seed: u64,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
struct Block {
    top: u32,
    height: u32,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Text {
        scale: u32,
        color: Color,
        lines: Vec<String>,
    },
    Table(Vec<[String; 4]>),
    Photo,
}

impl Page {
    /// The page with this number and label; without content only those two are on it.
    pub(super) fn new(seed: u64, number: u32, label: &str, content: bool) -> Self {
        let mut page = Self {
            seed,
            blocks: Vec::new(),
        };
        let mut top = page.add_text(HEADER_TOP, 22, BLUE, vec![number.to_string()]);
        top = page.add_text(top, 7, BLUE, vec![label.to_owned()]);
        if content {
            page.add_content(top + BLOCK_GAP);
        }
        page
    }

    fn add_content(&mut self, mut top: u32) {
        let mut dice = Dice(self.seed);
        let first = dice.below(3);
        for turn in 0..6 {
            let room = (MediaSize::A4.height - 150).saturating_sub(top);
            let (height, kind) = match (first + turn) % 3 {
                0 => (500 + dice.below(300), Kind::Photo),
                1 => {
                    let rows: Vec<_> = (0..4 + dice.below(5)).map(|_| dice.row()).collect();
                    (rows.len() as u32 * TABLE_ROW + RULE, Kind::Table(rows))
                }
                _ => {
                    let fitting = room / line_pitch(TEXT_SCALE);
                    let lines = (7 + dice.below(8)).min(fitting);
                    let lines = (0..lines).map(|_| dice.line(80)).collect();
                    top = self.add_text(top, TEXT_SCALE, INK, lines) + BLOCK_GAP;
                    continue;
                }
            };
            if height > room {
                continue;
            }
            self.blocks.push(Block { top, height, kind });
            top += height + BLOCK_GAP;
        }
    }

    /// Adds lines of text and gives their lower edge.
    fn add_text(&mut self, top: u32, scale: u32, color: Color, lines: Vec<String>) -> u32 {
        let height = lines.len() as u32 * line_pitch(scale);
        self.blocks.push(Block {
            top,
            height,
            kind: Kind::Text {
                scale,
                color,
                lines,
            },
        });
        top + height
    }

    fn draw_row(&self, y: u32, row: &mut Row<'_>) {
        for block in &self.blocks {
            match y.checked_sub(block.top) {
                Some(y) if y < block.height => block.kind.draw_row(self.seed, y, row),
                _ => {}
            }
        }
        row.add_grain(self.seed ^ u64::from(y) << 32);
    }
}

impl Kind {
    fn draw_row(&self, seed: u64, y: u32, row: &mut Row<'_>) {
        match self {
            Self::Text {
                scale,
                color,
                lines,
            } => {
                let pitch = line_pitch(*scale);
                if let Some(line) = lines.get((y / pitch) as usize) {
                    row.draw_text(MARGIN, line, y % pitch / scale, *scale, *color);
                }
            }
            Self::Table(cells) => {
                let width = TABLE_COLUMN * 4;
                if y % TABLE_ROW < RULE {
                    row.fill(MARGIN, width + RULE as usize, LINE);
                    return;
                }
                for column in 0..=4 {
                    row.fill(MARGIN + column * TABLE_COLUMN, RULE as usize, LINE);
                }
                let Some(cells) = cells.get((y / TABLE_ROW) as usize) else {
                    return;
                };
                let Some(y) = (y % TABLE_ROW).checked_sub(22) else {
                    return;
                };
                for (column, cell) in cells.iter().enumerate() {
                    let left = MARGIN + column * TABLE_COLUMN + 24;
                    row.draw_text(left, cell, y / TEXT_SCALE, TEXT_SCALE, INK);
                }
            }
            Self::Photo => row.draw_photo(seed, y),
        }
    }
}

const fn line_pitch(scale: u32) -> u32 {
    scale * (font::ROWS + 4)
}

/// One row of pixels, 1/300 inch each.
struct Row<'a> {
    luma: &'a mut [u8],
    /// Blue and red difference; none on a gray page.
    chroma: Option<[&'a mut [u8]; 2]>,
}

impl Row<'_> {
    fn fill(&mut self, left: usize, width: usize, [luma, blue, red]: Color) {
        fill(self.luma, left, width, luma);
        if let Some([blues, reds]) = &mut self.chroma {
            fill(blues, left, width, blue);
            fill(reds, left, width, red);
        }
    }

    /// Draws one row of a line of text; `glyph_row` counts from its upper edge.
    fn draw_text(&mut self, left: usize, text: &str, glyph_row: u32, scale: u32, color: Color) {
        let scale = scale as usize;
        for (place, symbol) in text.bytes().enumerate() {
            let bits = font::row(symbol, glyph_row);
            for column in (0..5).filter(|column| bits & (16 >> column) != 0) {
                let x = left + (place * font::ADVANCE + column) * scale;
                self.fill(x, scale, color);
            }
        }
    }

    /// A smooth field of light and colour with finer detail in the light, grainy like film.
    fn draw_photo(&mut self, seed: u64, y: u32) {
        let right = self.luma.len().saturating_sub(MARGIN);
        let Some(area) = self.luma.get_mut(MARGIN..right) else {
            return;
        };
        smooth(seed ^ 1, y, 180, area, |pixel, value| {
            *pixel = 40 + value / 3 * 2
        });
        smooth(seed ^ 2, y, 14, area, |pixel, value| {
            *pixel = pixel.saturating_add(value / 6);
        });
        let mut dice = Dice(seed ^ u64::from(y) << 24);
        for pixels in area.chunks_mut(8) {
            for (pixel, grain) in pixels.iter_mut().zip(dice.next().to_le_bytes()) {
                *pixel = pixel.saturating_add(grain & 15);
            }
        }
        if let Some(planes) = &mut self.chroma {
            for (plane, salt) in planes.iter_mut().zip([3, 4]) {
                if let Some(area) = plane.get_mut(MARGIN..right) {
                    smooth(seed ^ salt, y, 240, area, |pixel, value| {
                        *pixel = 84 + value / 3;
                    });
                }
            }
        }
    }

    /// What every sensor adds: a little noise in the light.
    fn add_grain(&mut self, seed: u64) {
        let mut dice = Dice(seed);
        for pixels in self.luma.chunks_mut(8) {
            for (pixel, grain) in pixels.iter_mut().zip(dice.next().to_le_bytes()) {
                *pixel = pixel.saturating_add(grain & 7);
            }
        }
    }
}

fn fill(plane: &mut [u8], left: usize, width: usize, value: u8) {
    let right = plane.len().min(left + width);
    if let Some(pixels) = plane.get_mut(left..right) {
        pixels.fill(value);
    }
}

/// Value noise: random values on a grid of `cell` pixels, straight lines between them.
fn smooth(seed: u64, y: u32, cell: u32, out: &mut [u8], put: impl Fn(&mut u8, u8)) {
    let (grid_y, weight) = (y / cell, y % cell);
    let at = |grid_x: u32| {
        let corner = |grid_y: u32| {
            let place = u64::from(grid_x) << 20 | u64::from(grid_y);
            (Dice(seed ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next() >> 56) as u32
        };
        (corner(grid_y) * (cell - weight) + corner(grid_y + 1) * weight) / cell
    };
    let mut left = at(0);
    for (grid_x, pixels) in (1..).zip(out.chunks_mut(cell as usize)) {
        let right = at(grid_x);
        // Sixteen bits of fraction, so that no pixel needs a division.
        let step = ((right << 16).wrapping_sub(left << 16)).cast_signed() / cell.cast_signed();
        let mut value = (left << 16).cast_signed();
        for pixel in pixels {
            put(pixel, (value >> 16) as u8);
            value += step;
        }
        left = right;
    }
}

/// A page as the encoder sees it: at some resolution, in colour or gray.
pub(super) struct Drawing<'a> {
    page: &'a Page,
    media: MediaSize,
    dpi: u32,
    gray: bool,
}

impl<'a> Drawing<'a> {
    pub(super) fn new(page: &'a Page, settings: &ScanSettings) -> Self {
        Self {
            page,
            media: settings.media,
            dpi: u32::from(settings.resolution_dpi),
            gray: settings.color_mode == ColorMode::Grayscale8,
        }
    }

    fn pixels(&self, length: u32) -> u16 {
        u16::try_from(length * self.dpi / 300).unwrap_or(u16::MAX)
    }
}

impl ImageBuffer for Drawing<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        if self.gray {
            JpegColorType::Luma
        } else {
            JpegColorType::Ycbcr
        }
    }

    fn width(&self) -> u16 {
        self.pixels(self.media.width)
    }

    fn height(&self) -> u16 {
        self.pixels(self.media.height)
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let planes = if self.gray { 1 } else { 3 };
        let start = buffers.first().map_or(0, Vec::len);
        let end = start + self.media.width as usize;
        for (plane, paper) in buffers.iter_mut().take(planes).zip(PAPER) {
            plane.resize(end, paper);
        }
        let [luma, blue, red, _] = &mut *buffers;
        let mut row = Row {
            luma: luma.get_mut(start..).unwrap_or_default(),
            chroma: match (blue.get_mut(start..), red.get_mut(start..)) {
                (Some(blue), Some(red)) if !self.gray => Some([blue, red]),
                _ => None,
            },
        };
        self.page.draw_row(u32::from(y) * 300 / self.dpi, &mut row);
        for plane in buffers.iter_mut().take(planes) {
            resample(plane, start, usize::from(self.width()), self.dpi as usize);
        }
    }
}

/// Brings the row behind `start` from 300 dpi to `dpi`, each pixel the nearest one.
fn resample(plane: &mut Vec<u8>, start: usize, width: usize, dpi: usize) {
    if dpi == 300 {
        return;
    }
    let source = plane.len() - start;
    plane.resize(start + width.max(source), 0);
    let Some(row) = plane.get_mut(start..) else {
        return;
    };
    let mut take = |x: usize| {
        let from = (x * 300 / dpi).min(source.saturating_sub(1));
        if let Some(&pixel) = row.get(from)
            && let Some(target) = row.get_mut(x)
        {
            *target = pixel;
        }
    };
    // In place: to fewer pixels from the left, to more from the right.
    if dpi < 300 {
        (0..width).for_each(&mut take);
    } else {
        (0..width).rev().for_each(&mut take);
    }
    plane.truncate(start + width);
}

/// SplitMix64: small, fast and the same everywhere. No secret ever comes from it.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u32) -> u32 {
        (self.next() % u64::from(limit)) as u32
    }

    fn word(&mut self) -> &'static str {
        let place = self.below(WORDS.len() as u32) as usize;
        WORDS.get(place).copied().unwrap_or_default()
    }

    /// Words up to a length; the line looks like one of a longer text.
    fn line(&mut self, symbols: usize) -> String {
        let mut line = String::new();
        loop {
            let word = self.word();
            if line.len() + 1 + word.len() > symbols {
                return line;
            }
            if !line.is_empty() {
                line.push_str(if self.below(9) == 0 { ", " } else { " " });
            }
            line.push_str(word);
        }
    }

    /// A row of a table: a number, two words, an amount.
    fn row(&mut self) -> [String; 4] {
        [
            (1000 + self.below(9000)).to_string(),
            self.word().to_owned(),
            self.word().to_owned(),
            format!("{},{:02}", self.below(5000), self.below(100)),
        ]
    }
}
