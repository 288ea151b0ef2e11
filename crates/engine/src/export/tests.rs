//! Every text form of the same document.

use super::{Format, Meta, sample, write};
use crate::document::Document;

fn written(format: Format) -> String {
    let meta = Meta {
        title: "Fish & <Chips>".into(),
        source: "fish \"1\".pdf".into(),
        language: Some("en".into()),
        date: "2026-01-02T03:04:05Z".into(),
        pictures: Some("fish_files".into()),
    };
    write(&sample::document(), format, &meta)
}

#[test]
fn text_has_a_form_feed_between_pages() {
    let text = written(Format::Text);
    assert_eq!(text.matches('\u{c}').count(), 1);
    assert!(text.starts_with("Running head\n\nFish & <Chips>"));
}

#[test]
fn markdown_is_as_github_reads_it() {
    let wanted = "# Fish \\& \\<Chips\\>\n\n\
        ## 1\\. The \\*sea\\*\n\n\
        - Cod\n  1. Whole\n  2. Cut\n- (b) Plaice\n\n\
        | Kind | Price |\n| --- | --- |\n| Cod \\| fillet | 1,50 |\n|  | -2 |\n\n\
        <table><thead><tr><th colspan=\"2\">Both</th></tr></thead><tbody><tr><td>a</td><td>b</td></tr></tbody></table>\n\n\
        ![](fish_files/page-1-picture-7.png)\n\n\
        Figure 1: A cod\n\n\
        ```\nlet x = 1;\n    # indented\n```\n\n\
        A paragraph that goes on over the page.\n\n\
        中文段落。\n";
    assert_eq!(written(Format::Markdown), wanted);
}

#[test]
fn html_escapes_nests_and_joins() {
    let html = written(Format::Html);
    for part in [
        "<html lang=\"en\">",
        "<title>Fish &amp; &lt;Chips&gt;</title>",
        "<h1 class=\"title\" dir=\"auto\">Fish &amp; &lt;Chips&gt;</h1>",
        "<ul>\n<li dir=\"auto\">Cod<ol>\n<li value=\"1\" dir=\"auto\">Whole</li>\n",
        "<td>Cod | fillet</td>",
        "<th colspan=\"2\">Both</th>",
        "src=\"data:image/png;base64,iVBORw==\"",
        "<pre><code>let x = 1;\n    # indented</code></pre>",
        "A paragraph that goes",
        "on over the page.</p>",
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    assert_eq!(html.matches("<ul>").count(), html.matches("</ul>").count());
    assert_eq!(html.matches("<li").count(), html.matches("</li>").count());
    assert_eq!(html.matches("<p ").count(), html.matches("</p>").count());
}

#[test]
fn json_has_blocks_with_tables_as_html() {
    let value: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap();
    assert_eq!(value["pages"].as_array().map(Vec::len), Some(2));
    let block = &value["pages"][0]["blocks"][4];
    assert_eq!(block["kind"], "table");
    assert!(block["html"].as_str().unwrap().starts_with("<table>"));
    assert_eq!(value["pages"][0]["blocks"][2]["level"], 2);
    assert!(value["text"].as_str().unwrap().ends_with("中文段落。"));
}

#[test]
fn tsv_has_twelve_columns_and_every_word() {
    let tsv = written(Format::Tsv);
    assert!(tsv.lines().all(|l| l.split('\t').count() == 12), "{tsv}");
    let words = tsv.lines().filter(|l| l.starts_with("5\t")).count();
    let all = |d: Document| {
        d.pages
            .iter()
            .flat_map(|p| &p.lines)
            .map(|l| l.words.len())
            .sum::<usize>()
    };
    assert_eq!(words, all(sample::document()));
    assert!(tsv.contains("5\t1\t2\t1\t1\t1\t50\t"), "{tsv}");
}

#[test]
fn csv_quotes_and_parts_tables() {
    let wanted = "Kind,Price\r\nCod | fillet,\"1,50\"\r\n,-2\r\n\r\nBoth,\r\na,b\r\n";
    assert_eq!(written(Format::Csv), wanted);
}

#[test]
fn a_table_over_pages_is_one() {
    let statement = sample::statement();
    let written = |format| write(&statement, format, &Meta::default());
    assert_eq!(
        written(Format::Markdown),
        "| Date | Sum |\n| --- | --- |\n| 1 May | 20 |\n| 2 May | 30 |\n| 3 May | 40 |\n"
    );
    assert_eq!(
        written(Format::Csv),
        "Date,Sum\r\n1 May,20\r\n2 May,30\r\n3 May,40\r\n"
    );
    // A page alone has a table of its own.
    let alone = Format::Markdown
        .writer(&Meta::default())
        .page(&statement.pages[1]);
    assert_eq!(alone, "| Date | Sum |\n| --- | --- |\n| 2 May | 30 |");
}

/// Names of a document's elements, in order, each with its attributes; the text is checked for escapes.
fn elements(xml: &str) -> Vec<(String, String)> {
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for part in xml.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        let bare = text
            .replace("&amp;", "")
            .replace("&lt;", "")
            .replace("&gt;", "")
            .replace("&quot;", "");
        assert!(!bare.contains('&'), "{text}");
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let (name, attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        found.push((
            name.trim_end_matches('/').to_string(),
            attributes.to_string(),
        ));
        if !tag.ends_with('/') {
            open.push(name.to_string());
        }
    }
    assert!(open.is_empty(), "{open:?}");
    found
}

fn values(elements: &[(String, String)], attribute: &str) -> Vec<String> {
    let start = format!("{attribute}=\"");
    let value = |attributes: &str| {
        let (_, rest) = attributes.split_once(&start)?;
        Some(rest.split_once('"')?.0.to_string())
    };
    elements.iter().filter_map(|(_, a)| value(a)).collect()
}

fn unique(ids: &[String]) -> bool {
    let mut sorted = ids.to_vec();
    sorted.sort();
    sorted.dedup();
    sorted.len() == ids.len()
}

#[test]
fn hocr_is_well_formed_and_has_every_word() {
    let hocr = written(Format::Hocr);
    let elements = elements(&hocr);
    let of_class = |class: &str| {
        values(&elements, "class")
            .iter()
            .filter(|c| *c == class)
            .count()
    };
    assert_eq!(of_class("ocr_page"), 2);
    assert_eq!(of_class("ocr_table"), 2);
    assert_eq!(
        of_class("ocrx_word"),
        written(Format::Tsv)
            .lines()
            .filter(|l| l.starts_with("5\t"))
            .count()
    );
    assert!(unique(&values(&elements, "id")));
    assert!(hocr.contains(
        "image &quot;fish _1_.pdf&quot;; bbox 0 0 800 1000; ppageno 0; scan_res 150 150"
    ));
    assert!(hocr.contains("Fish</span> <span"), "{hocr}");
}

#[test]
fn alto_is_well_formed_and_refers_to_what_is_there() {
    let alto = written(Format::Alto);
    let elements = elements(&alto);
    let ids: Vec<String> = values(&elements, "ID");
    assert!(unique(&ids));
    for reference in values(&elements, "TAGREFS") {
        assert!(ids.contains(&reference), "{reference}");
    }
    let strings = elements.iter().filter(|(name, _)| name == "String").count();
    assert_eq!(
        strings,
        written(Format::Tsv)
            .lines()
            .filter(|l| l.starts_with("5\t"))
            .count()
    );
    assert!(
        alto.contains("CONTENT=\"&lt;Chips&gt;\" WC=\"0.95\""),
        "{alto}"
    );
}

#[test]
fn page_xml_is_well_formed_and_lists_its_regions() {
    let mut writer = Format::PageXml.writer(&Meta::default());
    let document = sample::document();
    for page in &document.pages {
        let xml = writer.page(page);
        let elements = elements(&xml);
        let ids = values(&elements, "id");
        assert!(unique(&ids));
        let listed = values(&elements, "regionRef");
        assert_eq!(listed.len(), page.regions.len());
        assert!(listed.iter().all(|r| ids.contains(r)));
    }
}
