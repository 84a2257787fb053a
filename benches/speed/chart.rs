//! The chart of a report: how far each goal is met.

use std::fmt::Write as _;

use crate::report::{Report, Row};

/// Sizes in pixels.
const WIDTH: f64 = 920.0;
const LABELS: f64 = 400.0;
const LINE: f64 = 20.0;
const MARGIN: f64 = 12.0;
/// What the scale reaches to, as powers of two, on either side of a goal that is just met. What is beyond is cut off there.
const HALVINGS: f64 = 2.0;
const DOUBLINGS: f64 = 4.0;

const STYLE: &str = "
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .head { font-weight: 600 }
    .figure { font-size: 12px; fill: #59636e }
    .met { fill: #2da44e }
    .missed { fill: #d1242f }
    .goal { stroke: #59636e; stroke-width: 1 }
    .paper { fill: #ffffff }
    @media (prefers-color-scheme: dark) {
        text { fill: #f0f6fc }
        .figure { fill: #9198a1 }
        .goal { stroke: #9198a1 }
        .paper { fill: #0d1117 }
    }";

/// The chart as an SVG image. A bar to the right tells by how much a goal is exceeded, one to the left by how much it is missed.
#[must_use]
pub fn draw(report: &Report) -> String {
    let mut lines = String::new();
    let mut top = MARGIN + LINE;
    write_text(&mut lines, (MARGIN, top), "head", "How far each goal is met: twice as well is one step to the right");
    for section in &report.sections {
        let rows: Vec<(&Row, f64)> = section.rows.iter().filter_map(|row| Some((row, row.attainment()?))).collect();
        if rows.is_empty() {
            continue;
        }
        top += 1.5 * LINE;
        write_text(&mut lines, (MARGIN, top), "head", &section.title);
        for (row, attainment) in rows {
            top += LINE;
            write_row(&mut lines, top, row, attainment);
        }
    }
    let (height, goal) = (top + LINE, x_of(1.0));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"How far each goal is met\">\n\
         <style>{STYLE}\n</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n{lines}\
         <line class=\"goal\" x1=\"{goal:.1}\" x2=\"{goal:.1}\" y1=\"{}\" y2=\"{top}\"/>\n</svg>\n",
        MARGIN + 2.0 * LINE
    )
}

fn write_row(lines: &mut String, top: f64, row: &Row, attainment: f64) {
    let (goal, end) = (x_of(1.0), x_of(attainment));
    let (left, width, class) = (goal.min(end), (goal - end).abs().max(1.0), if attainment < 1.0 { "missed" } else { "met" });
    write_text(lines, (MARGIN + LINE, top), "what", &row.what);
    let bar_top = top - 0.6 * LINE;
    let bar_height = 0.7 * LINE;
    let _infallible =
        writeln!(lines, "<rect class=\"{class}\" x=\"{left:.1}\" y=\"{bar_top:.1}\" width=\"{width:.1}\" height=\"{bar_height:.1}\"/>");
    write_text(lines, (goal.max(end) + 6.0, top), "figure", &row.result());
}

/// Where a bar ends.
fn x_of(attainment: f64) -> f64 {
    // Room for the figure behind the longest bar.
    let room = WIDTH - LABELS - 9.0 * MARGIN;
    LABELS + room * (attainment.log2().clamp(-HALVINGS, DOUBLINGS) + HALVINGS) / (HALVINGS + DOUBLINGS)
}

fn write_text(lines: &mut String, (left, top): (f64, f64), class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _infallible = writeln!(lines, "<text class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\">{text}</text>");
}
