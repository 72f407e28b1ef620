//! The page around the plots: HTML that needs nothing from elsewhere.

use std::fmt::Write as _;

use super::plot::Plot;

/// A report.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) title: String,
    /// Above everything, a paragraph each.
    pub(super) about: Vec<String>,
    pub(super) tables: Vec<HtmlTable>,
    pub(super) figures: Vec<Figure>,
}

/// A plot with what is to be said about it.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) plot: Plot,
    /// What the lines are.
    pub(super) caption: String,
    /// The numbers beside it.
    pub(super) numbers: HtmlTable,
}

/// A table: a heading a column, the first column to the left, all others to the right.
#[derive(Debug, Default)]
pub(super) struct HtmlTable {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// By which a report is known as ours: another page is not written over.
pub(super) const GENERATOR: &str = "<meta name=\"generator\" content=\"walrus sim\">";

/// In print a figure stays together with its numbers.
const STYLE: &str = "body{font:15px/1.45 sans-serif;max-width:900px;margin:2em auto;padding:0 1em;\
color:#111}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse;\
margin:1em 0;font-variant-numeric:tabular-nums}th,td{border-bottom:1px solid #ccc;padding:.2em .7em;\
text-align:right}th:first-child,td:first-child{text-align:left}figure{margin:1em 0;\
break-inside:avoid}svg{max-width:100%;height:auto}figcaption{color:#333}.wide{overflow-x:auto}";

impl Page {
    /// The page with these figures, which are those of [`Self::figures`] drawn.
    pub(super) fn html(&self, figures: &[String]) -> String {
        let title = escape(&self.title);
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">{GENERATOR}\
             <title>{title}</title><meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\
             <body>\n<h1>{title}</h1>\n"
        );
        for paragraph in &self.about {
            let _ = writeln!(html, "<p>{}</p>", escape(paragraph));
        }
        for table in &self.tables {
            html.push_str(&table.html());
        }
        for (figure, svg) in self.figures.iter().zip(figures) {
            let (title, caption) = (escape(&figure.plot.title), escape(&figure.caption));
            let _ = write!(
                html,
                "<h2 id=\"{}\">{title}</h2>\n<figure>{svg}<figcaption>{caption}</figcaption>{}\
                 </figure>\n",
                figure.plot.name,
                figure.numbers.html(),
            );
        }
        html.push_str("</body></html>\n");
        html
    }
}

impl HtmlTable {
    fn html(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let cells = |cells: &[String], tag: &str| {
            let cell = |text: &String| format!("<{tag}>{}</{tag}>", escape(text));
            format!("<tr>{}</tr>\n", cells.iter().map(cell).collect::<String>())
        };
        let rows: String = self.rows.iter().map(|row| cells(row, "td")).collect();
        format!("<div class=\"wide\"><table>\n{}{rows}</table></div>\n", cells(&self.head, "th"))
    }
}

/// Text as it may stand in HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
