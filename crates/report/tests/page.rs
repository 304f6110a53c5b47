//! The page is complete, well-formed, escaped and asks for nothing from outside.

use std::error::Error;

use report::{
    ConfusionPlot, Curves, Example, HeadlineNumber, Misread, Page, Remark, ScoreRow, Section, StepPoint, Tone, html,
};
use resvg::usvg::roxmltree::{Document, Node};

type TestResult = Result<(), Box<dyn Error>>;

/// A page with every building block, whose every text is `text`.
fn page_of(text: &str) -> Result<String, report::ReportError> {
    let text = text.to_owned();
    let row = ScoreRow { name: text.clone(), precision: 0.9, recall: f64::NAN, f1: 0.8765, examples: 42 };
    let pair = (text.clone(), text.clone());
    let number = HeadlineNumber { name: text.clone(), value: text.clone(), detail: text.clone() };
    let example = |truth| Example {
        text: text.clone(),
        truth,
        predicted: text.clone(),
        probabilities: vec![(text.clone(), 0.25), ("other".to_owned(), 0.75)],
    };
    let examples = [example(None), example(Some(text.clone())), example(Some("other".to_owned()))];
    let (labels, counts) = ([text.clone(), "other".to_owned()], [vec![5, 6], vec![0, 7]]);
    let steps = [1, 2].map(|step| StepPoint { step, loss: 0.5, learning_rate: 1e-5 });
    let confusion = ConfusionPlot { labels: &labels, counts: &counts, title: &text }.draw()?;
    let curves = Curves { title: &text, steps: &steps, ..Curves::default() }.draw()?;
    let table = html::table(&[&text, "a number"], &[(text.clone(), vec![text.clone()])]);
    let records = html::records(&[&text, "a text"], &[(text.clone(), vec![text.clone()])]);
    let remarks = [Tone::Good, Tone::Bad, Tone::Plain].map(|tone| Remark { tone, text: text.clone() });
    let misread = |words| Misread {
        place: text.clone(),
        text: text.clone(),
        label: text.clone(),
        predicted: text.clone(),
        probability: 0.75,
        label_probability: 0.25,
        words,
    };
    let words = html::caption(&text);
    let sections = vec![
        Section::new("", html::headline(&[number])),
        Section::new("Scores", html::scores(&text, &[row])),
        Section::new("Table", table + records + html::caption(&text)),
        Section::new("Verdict", html::subheading(&text) + html::remarks(&remarks)),
        Section::new("Mistakes", html::misread(&[misread(None), misread(Some(words))])),
        Section::new("Commands", html::commands(std::slice::from_ref(&text))),
        Section::new("Confusion matrix", html::figure(&confusion)).with_picture("confusion", confusion),
        Section::new("Training", html::figure(&curves)),
        Section::new("Example predictions", html::examples(&examples)),
        Section::new("Configuration", html::pairs(&[pair])),
    ];
    Ok(Page { title: &text, subtitle: &text, notes: std::slice::from_ref(&text), sections }.html())
}

/// The page's body as XML, which our HTML also is apart from its first line.
fn body(html: &str) -> &str {
    html.strip_prefix("<!DOCTYPE html>\n").unwrap_or_default()
}

/// How many elements there are outside the pictures, where a name may take more than one line.
fn elements(html: &str) -> Result<usize, Box<dyn Error>> {
    let document = Document::parse(body(html))?;
    let outside = |node: &Node| node.ancestors().all(|ancestor| ancestor.tag_name().name() != "svg");
    Ok(document.descendants().filter(|node| node.is_element() && outside(node)).count())
}

#[test]
fn everything_is_on_the_page_in_its_order() -> TestResult {
    let html = page_of("Marmelade")?;
    let document = Document::parse(body(&html))?;
    let headings: Vec<&str> =
        document.descendants().filter(|node| node.has_tag_name("h2")).filter_map(|node| node.text()).collect();
    let expected = [
        "Scores",
        "Table",
        "Verdict",
        "Mistakes",
        "Commands",
        "Confusion matrix",
        "Training",
        "Example predictions",
        "Configuration",
    ];
    assert_eq!(headings, expected);
    assert_eq!(document.descendants().filter(|node| node.tag_name().name() == "svg").count(), 2);
    for text in ["0.9000", "<td>–</td>", "0.8765", "42", "25.0 %", "Marmelade ✓", "Marmelade ✗</b>, actually other"]
    {
        assert!(html.contains(text), "{text}");
    }
    let note = html.find("class=\"note\"").ok_or("no note")?;
    assert!(note < html.find("class=\"headline\"").ok_or("no headline")?, "notes come first");
    Ok(())
}

#[test]
fn all_text_is_escaped() -> TestResult {
    for hostile in
        ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</style></title>&amp;'", "\u{0}\u{1b}["]
    {
        let html = page_of(hostile)?;
        let document = Document::parse(body(&html))?;
        assert!(document.descendants().all(|node| !["script", "img"].contains(&node.tag_name().name())), "{hostile}");
        assert!(!html.contains(hostile), "{hostile}");
        assert_eq!(elements(&html)?, elements(&page_of("Marmelade")?)?, "{hostile}");
    }
    Ok(())
}

#[test]
fn nothing_is_fetched_from_anywhere() -> TestResult {
    let html = page_of("Marmelade")?;
    // Links lead only to sections of the page.
    let outside = html.replace("http://www.w3.org/2000/svg", "").replace("href=\"#", "");
    for reference in ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link", "<iframe"] {
        assert!(!outside.contains(reference), "{reference}");
    }
    assert!(html.contains("default-src 'none'"));
    Ok(())
}

#[test]
fn a_page_without_content_is_only_its_title() -> TestResult {
    let empty = [
        html::headline(&[]),
        html::scores("Class", &[]),
        html::table(&["Class", "Share"], &[]),
        html::pairs(&[]),
        html::examples(&[]),
        html::caption(""),
        html::subheading(""),
        html::remarks(&[]),
        html::records(&["Row", "Text"], &[]),
        html::misread(&[]),
        html::commands(&[]),
        html::figures(&[]),
    ];
    let sections: Vec<Section> = empty.into_iter().map(|content| Section::new("Empty", content)).collect();
    for sections in [Vec::new(), sections] {
        let html = Page { title: "Nothing yet", sections, ..Page::default() }.html();
        let document = Document::parse(body(&html))?;
        let content = ["section", "table", "svg", "dl", "p", "h2"];
        assert!(document.descendants().all(|node| !content.contains(&node.tag_name().name())), "{html}");
        assert_eq!(html.matches("Nothing yet").count(), 2);
    }
    Ok(())
}

#[test]
fn a_long_page_has_contents_that_lead_to_its_sections() -> TestResult {
    let html = page_of("Marmelade")?;
    let document = Document::parse(body(&html))?;
    let links: Vec<&str> = document.descendants().filter_map(|node| node.attribute("href")).collect();
    let sections = document.descendants().filter(|node| node.has_tag_name("section"));
    let anchors: Vec<String> = sections.map(|node| format!("#{}", node.attribute("id").unwrap_or("none"))).collect();
    assert_eq!(links, anchors);
    assert_eq!(anchors[5], "#confusion-matrix");
    let short = Page { title: "t", sections: vec![Section::new("One", html::caption("text"))], ..Page::default() };
    assert!(!short.html().contains("<nav"), "a page that is seen at a glance");
    Ok(())
}

#[test]
fn what_scrolls_sideways_can_be_reached_by_keyboard_and_has_a_name() -> TestResult {
    let html = page_of("Marmelade")?;
    let document = Document::parse(body(&html))?;
    let scrolls = |node: &Node| matches!(node.attribute("class"), Some("wide" | "picture scrolls"));
    let scrolling: Vec<Node> = document.descendants().filter(scrolls).collect();
    let tables = scrolling
        .iter()
        .filter(|node| node.attribute("tabindex") == Some("0") && node.attribute("aria-label").is_some());
    // A table of names and values breaks its lines instead.
    assert_eq!(tables.count(), scrolling.len() - 1);
    assert!(scrolling.len() >= 5, "{}", scrolling.len());
    Ok(())
}

#[test]
fn what_stands_between_backticks_is_code() {
    let text = |text| html::caption(text).as_str().trim_end().to_owned();
    assert_eq!(text("type `a <b>` here"), "<p class=\"caption\">type <code>a &lt;b&gt;</code> here</p>");
    assert_eq!(text("a lone ` is one"), "<p class=\"caption\">a lone ` is one</p>");
}
