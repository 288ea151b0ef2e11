//! A new PDF of pictures with unseen text, as PDF/A-2b where that is wanted (ISO 19005-2).

use hayro::kurbo::Affine;
use maoocr_engine::document::PageText;
use maoocr_engine::imaging::Image;
use pdf_writer::types::{CidFontType, FontFlags, OutputIntentSubtype, Predictor, SystemInfo};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::font::{self, Encoder};
use super::picture::{self, Coding, Colours, Picture};
use super::{deflated, text};

/// What the file says of itself.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// Its title; empty for none.
    pub title: String,
    /// BCP 47 tag of its language.
    pub language: Option<String>,
    /// When it was made, as in `2026-11-29T21:05:00Z`; empty if nobody says.
    pub date: String,
    /// Whether it shall be PDF/A-2b.
    pub archival: bool,
}

/// A PDF being put together.
pub struct Composed {
    pdf: Pdf,
    info: Info,
    next: Ref,
    catalog: Ref,
    tree: Ref,
    font: Ref,
    pages: Vec<Ref>,
    encoder: Encoder,
}

/// Resolution of a picture that states none, pixels an inch.
const USUAL_DPI: f32 = 200.0;
/// Longest side of a page, points (ISO 32000-1, annex C).
const MAX_SIDE: f32 = 14_400.0;
/// Name of the font among a page's resources.
const FONT: &str = "F0";

impl Composed {
    /// A PDF without pages.
    pub fn new(info: Info) -> Self {
        let mut next = Ref::new(1);
        let (catalog, tree, font) = (next.bump(), next.bump(), next.bump());
        let mut pdf = Pdf::new();
        pdf.set_version(1, 7);
        Self {
            pdf,
            info,
            next,
            catalog,
            tree,
            font,
            pages: Vec::new(),
            encoder: Encoder::default(),
        }
    }

    /// Whether it has no pages yet.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Adds the page at `index` of a picture's file, whose data goes in as it is where a PDF knows its coding, else as
    /// `pixels`, without loss.
    pub fn add(&mut self, file: &[u8], index: usize, page: &PageText, pixels: &Image) {
        let mut fax = picture::group4(file);
        let own = if fax.is_empty() {
            picture::as_it_is(file)
        } else if index < fax.len() {
            fax.swap_remove(index)
        } else {
            None
        };
        // The output intent of an archive is RGB, which rules out inks (ISO 19005-2, 6.2.4.3).
        let archived =
            |p: &Picture<'_>| !(self.info.archival && matches!(p.colours, Colours::Cmyk { .. }));
        match own.filter(|p| fits(p, page) && archived(p)) {
            Some(picture) => self.page(&picture, page),
            None => self.page(&picture::packed(pixels, false), page),
        }
    }

    /// Adds a page of pixels; colour and grey are packed as a JPEG.
    pub fn add_pixels(&mut self, image: &Image, page: &PageText) {
        self.page(&picture::packed(image, true), page);
    }

    fn page(&mut self, picture: &Picture<'_>, page: &PageText) {
        let (id, contents, image) = (self.next.bump(), self.next.bump(), self.next.bump());
        self.pages.push(id);
        self.image(image, picture);
        let dpi = page
            .dpi
            .filter(|d| (36.0..=2400.0).contains(d))
            .unwrap_or(USUAL_DPI);
        let longest = page.width.max(page.height) as f32 * 72.0 / dpi;
        let scale = 72.0 / dpi * (MAX_SIDE / longest).min(1.0);
        let (w, h) = (page.width as f32 * scale, page.height as f32 * scale);

        let mut content = Content::new();
        content.save_state();
        content.transform(place(picture.orientation, w, h));
        content.x_object(Name(b"Im0"));
        content.restore_state();
        let mut content = content.finish().to_vec();
        let to_user = Affine::new([
            f64::from(scale),
            0.0,
            0.0,
            -f64::from(scale),
            0.0,
            f64::from(h),
        ]);
        let unseen = text::stream(page, to_user, FONT, &mut self.encoder);
        content.push(b'\n');
        content.extend(unseen.as_bytes());
        self.pdf
            .stream(contents, &deflated(&content))
            .filter(Filter::FlateDecode);

        let mut out = self.pdf.page(id);
        out.media_box(Rect::new(0.0, 0.0, w, h));
        out.parent(self.tree);
        out.contents(contents);
        let mut resources = out.resources();
        resources.x_objects().pair(Name(b"Im0"), image);
        if !unseen.is_empty() {
            resources.fonts().pair(Name(FONT.as_bytes()), self.font);
        }
    }

    fn image(&mut self, id: Ref, picture: &Picture<'_>) {
        let mut out = self.pdf.image_xobject(id, &picture.data);
        out.width(picture.width as i32);
        out.height(picture.height as i32);
        out.bits_per_component(picture.bits.into());
        match &picture.colours {
            Colours::Grey => out.color_space().device_gray(),
            Colours::Rgb => out.color_space().device_rgb(),
            Colours::Cmyk { inverted } => {
                out.color_space().device_cmyk();
                if *inverted {
                    out.decode([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
                }
            }
            Colours::Palette(rgb) => {
                let last = (rgb.len() / 3).saturating_sub(1).min(255) as i32;
                out.color_space().indexed(Name(b"DeviceRGB"), last, rgb);
            }
        }
        match picture.coding {
            Coding::Jpeg => {
                out.filter(Filter::DctDecode);
            }
            Coding::Deflate { filtered } => {
                out.filter(Filter::FlateDecode);
                if let Some(samples) = filtered {
                    let mut parameters = out.decode_parms();
                    parameters.predictor(Predictor::PngOptimum);
                    parameters.colors(samples.into());
                    parameters.bits_per_component(picture.bits.into());
                    parameters.columns(picture.width as i32);
                }
            }
            Coding::Group4 { black_is_1 } => {
                out.filter(Filter::CcittFaxDecode);
                let mut parameters = out.decode_parms();
                parameters.k(-1);
                parameters.columns(picture.width as i32);
                parameters.rows(picture.height as i32);
                parameters.black_is_1(black_is_1);
            }
        }
    }

    /// The file.
    pub fn finish(mut self) -> Vec<u8> {
        if !self.encoder.is_empty() {
            self.write_font();
        }
        let metadata = self.next.bump();
        let xmp = xmp(&self.info);
        let mut stream = self.pdf.stream(metadata, xmp.as_bytes());
        stream.pair(Name(b"Type"), Name(b"Metadata"));
        stream.pair(Name(b"Subtype"), Name(b"XML"));
        stream.finish();
        let profile = self.info.archival.then(|| {
            let id = self.next.bump();
            let icc = srgb();
            let packed = deflated(&icc);
            let mut stream = self.pdf.stream(id, &packed);
            stream.filter(Filter::FlateDecode);
            stream.pair(Name(b"N"), 3);
            stream.finish();
            id
        });
        let mut catalog = self.pdf.catalog(self.catalog);
        catalog.pages(self.tree);
        catalog.metadata(metadata);
        if let Some(language) = &self.info.language {
            catalog.lang(TextStr(language));
        }
        if let Some(profile) = profile {
            let mut intents = catalog.output_intents();
            let mut intent = intents.push();
            intent.subtype(OutputIntentSubtype::PDFA);
            intent.output_condition_identifier(TextStr("sRGB"));
            intent.info(TextStr("sRGB IEC61966-2.1"));
            intent.dest_output_profile(profile);
        }
        catalog.finish();
        self.pdf
            .pages(self.tree)
            .count(self.pages.len() as i32)
            .kids(self.pages.iter().copied());
        let info = self.next.bump();
        let mut document = self.pdf.document_info(info);
        if !self.info.title.is_empty() {
            document.title(TextStr(&self.info.title));
        }
        document.producer(TextStr(PRODUCER));
        if let Some(date) = date(&self.info.date) {
            document.pair(Name(b"CreationDate"), Str(date.as_bytes()));
        }
        document.finish();
        // PDF/A wants an identifier; it need only tell files apart.
        let id = identifier(&self.info, self.pages.len(), xmp.len());
        self.pdf.set_file_id((id.to_vec(), id.to_vec()));
        self.pdf.finish()
    }

    fn write_font(&mut self) {
        let (descendant, descriptor) = (self.next.bump(), self.next.bump());
        let (file, map, unicode) = (self.next.bump(), self.next.bump(), self.next.bump());
        let ttf = font::file();
        let mut stream = self.pdf.stream(file, &ttf);
        stream.pair(Name(b"Length1"), ttf.len() as i32);
        stream.finish();
        self.pdf
            .stream(map, &deflated(&font::cid_to_gid()))
            .filter(Filter::FlateDecode);
        let to_unicode = deflated(self.encoder.to_unicode().as_bytes());
        self.pdf
            .stream(unicode, &to_unicode)
            .filter(Filter::FlateDecode);
        let name = Name(font::NAME.as_bytes());
        self.pdf
            .type0_font(self.font)
            .base_font(name)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(descendant)
            .to_unicode(unicode);
        self.pdf
            .cid_font(descendant)
            .subtype(CidFontType::Type2)
            .base_font(name)
            .system_info(SystemInfo {
                registry: Str(b"Adobe"),
                ordering: Str(b"Identity"),
                supplement: 0,
            })
            .font_descriptor(descriptor)
            .default_width(font::ADVANCE.into())
            .cid_to_gid_map_stream(map);
        let (ascent, descent) = (f32::from(font::ASCENT), f32::from(font::DESCENT));
        self.pdf
            .font_descriptor(descriptor)
            .name(name)
            .flags(FontFlags::SYMBOLIC | FontFlags::FIXED_PITCH)
            .bbox(Rect::new(0.0, descent, font::ADVANCE.into(), ascent))
            .italic_angle(0.0)
            .ascent(ascent)
            .descent(descent)
            .cap_height(ascent)
            .stem_v(80.0)
            .font_file2(file);
    }
}

const PRODUCER: &str = concat!("maoocr ", env!("CARGO_PKG_VERSION"));

/// Whether a picture as it is has the size that was read, however it is turned.
fn fits(picture: &Picture<'_>, page: &PageText) -> bool {
    let (w, h) = match picture.orientation {
        5..=8 => (picture.height, picture.width),
        _ => (picture.width, picture.height),
    };
    (w, h) == (page.width, page.height)
}

/// From a picture's unit square to a page of that size, its pixels turned as EXIF's orientation says.
fn place(orientation: u8, w: f32, h: f32) -> [f32; 6] {
    match orientation {
        2 => [-w, 0.0, 0.0, h, w, 0.0],
        3 => [-w, 0.0, 0.0, -h, w, h],
        4 => [w, 0.0, 0.0, -h, 0.0, h],
        5 => [0.0, -h, -w, 0.0, w, h],
        6 => [0.0, -h, w, 0.0, 0.0, h],
        7 => [0.0, h, w, 0.0, 0.0, 0.0],
        8 => [0.0, h, -w, 0.0, w, 0.0],
        _ => [w, 0.0, 0.0, h, 0.0, 0.0],
    }
}

/// `D:20261129210500Z` of `2026-11-29T21:05:00Z`.
fn date(rfc3339: &str) -> Option<String> {
    let digits: String = rfc3339.chars().filter(char::is_ascii_digit).collect();
    (digits.len() == 14).then(|| format!("D:{digits}Z"))
}

fn identifier(info: &Info, pages: usize, more: usize) -> [u8; 16] {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, &info.title, &info.date, pages, more).hash(&mut hasher);
        Hasher::finish(&hasher).to_be_bytes()
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&half(0));
    id[8..].copy_from_slice(&half(1));
    id
}

/// What the file says of itself as XMP (ISO 16684-1); the same as its document information.
fn xmp(info: &Info) -> String {
    let escaped = |text: &str| {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .chars()
            .filter(|c| *c >= ' ')
            .collect::<String>()
    };
    let mut about = String::new();
    if info.archival {
        about
            .push_str("<pdfaid:part>2</pdfaid:part>\n<pdfaid:conformance>B</pdfaid:conformance>\n");
    }
    if !info.title.is_empty() {
        about.push_str(&format!(
            "<dc:title><rdf:Alt><rdf:li xml:lang=\"x-default\">{}</rdf:li></rdf:Alt></dc:title>\n",
            escaped(&info.title)
        ));
    }
    if date(&info.date).is_some() {
        about.push_str(&format!("<xmp:CreateDate>{}</xmp:CreateDate>\n", info.date));
    }
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
         <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n\
         <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n\
         <rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
         xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\" xmlns:pdf=\"http://ns.adobe.com/pdf/1.3/\" \
         xmlns:pdfaid=\"http://www.aiim.org/pdfa/ns/id/\">\n{about}\
         <pdf:Producer>{PRODUCER}</pdf:Producer>\n\
         </rdf:Description>\n</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"w\"?>"
    )
}

/// An ICC profile (ICC.1:2001-04, version 2.1) of sRGB: its primaries adapted to D50, and a gamma of 2.2.
fn srgb() -> Vec<u8> {
    let fixed = |v: f64| ((v * 65536.0).round() as i32).to_be_bytes();
    let xyz = |v: [f64; 3]| {
        let mut data = b"XYZ \0\0\0\0".to_vec();
        v.iter().for_each(|v| data.extend(fixed(*v)));
        data
    };
    let name = b"sRGB";
    let mut description = b"desc\0\0\0\0".to_vec();
    description.extend((name.len() as u32 + 1).to_be_bytes());
    description.extend(name);
    // Its end, and no Unicode and no Macintosh name.
    description.extend([0; 1 + 8 + 3 + 67]);
    let mut copyright = b"text\0\0\0\0".to_vec();
    copyright.extend(b"No copyright\0");
    // One value: a gamma, in 256ths.
    let mut curve = b"curv\0\0\0\0\0\0\0\x01".to_vec();
    curve.extend(563u16.to_be_bytes());
    let tags: [(&[u8; 4], Vec<u8>); 9] = [
        (b"desc", description),
        (b"cprt", copyright),
        (b"wtpt", xyz([0.9642, 1.0, 0.8249])),
        (b"rXYZ", xyz([0.4360, 0.2225, 0.0139])),
        (b"gXYZ", xyz([0.3851, 0.7169, 0.0971])),
        (b"bXYZ", xyz([0.1431, 0.0606, 0.7141])),
        (b"rTRC", curve.clone()),
        (b"gTRC", curve.clone()),
        (b"bTRC", curve),
    ];
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let mut data: Vec<u8> = Vec::new();
    let start = 128 + 4 + 12 * tags.len();
    for (tag, value) in &tags {
        table.extend(*tag);
        table.extend(((start + data.len()) as u32).to_be_bytes());
        table.extend((value.len() as u32).to_be_bytes());
        data.extend(value);
        data.resize(data.len().next_multiple_of(4), 0);
    }
    let mut header = vec![0; 128];
    header[..4].copy_from_slice(&((start + data.len()) as u32).to_be_bytes());
    header[8..12].copy_from_slice(&[2, 0x10, 0, 0]);
    header[12..16].copy_from_slice(b"mntr");
    header[16..20].copy_from_slice(b"RGB ");
    header[20..24].copy_from_slice(b"XYZ ");
    // A date there must be: 1 January 2000.
    header[24..36].copy_from_slice(&[7, 0xd0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    header[36..40].copy_from_slice(b"acsp");
    header[68..72].copy_from_slice(&fixed(0.9642));
    header[72..76].copy_from_slice(&fixed(1.0));
    header[76..80].copy_from_slice(&fixed(0.8249));
    header.extend(table);
    header.extend(data);
    header
}

#[cfg(test)]
fn corner(matrix: [f32; 6], x: f32, y: f32) -> (f32, f32) {
    let [a, b, c, d, e, f] = matrix;
    (a * x + c * y + e, b * x + d * y + f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_turned_as_exif_says() {
        // Where the file's first pixel, the unit square's upper left, is seen on a page of 2 by 3.
        for (orientation, seen) in [
            (1, (0.0, 3.0)),
            (2, (2.0, 3.0)),
            (3, (2.0, 0.0)),
            (4, (0.0, 0.0)),
            (5, (0.0, 3.0)),
            (6, (2.0, 3.0)),
            (7, (2.0, 0.0)),
            (8, (0.0, 0.0)),
        ] {
            let matrix = place(orientation, 2.0, 3.0);
            assert_eq!(corner(matrix, 0.0, 1.0), seen, "{orientation}");
        }
        // Its first row runs down the right edge.
        assert_eq!(corner(place(6, 2.0, 3.0), 1.0, 1.0), (2.0, 0.0));
    }

    #[test]
    fn dates_are_written_as_pdfs_have_them() {
        assert_eq!(
            date("2026-11-29T21:05:00Z").as_deref(),
            Some("D:20261129210500Z")
        );
        assert_eq!(date(""), None);
    }

    #[test]
    fn the_profile_states_its_length() {
        let icc = srgb();
        assert_eq!(icc[..4], (icc.len() as u32).to_be_bytes());
    }
}
