//! Diagrams over time, one below the other, as a PNG.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::register_font;

use crate::Failure;

/// The lines' colours: blue, red, green, ochre, violet, grey.
const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 90, 180),
    RGBColor(200, 40, 40),
    RGBColor(30, 140, 60),
    RGBColor(200, 140, 20),
    RGBColor(130, 60, 160),
    RGBColor(110, 110, 110),
];

/// One diagram.
pub(crate) struct Panel<'a> {
    pub(crate) title: &'a str,
    /// The name of each line, and its points: seconds, and what the title says.
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// Whether words can be drawn.
fn find_font() -> bool {
    hyperzoom_testkit::fonts().any(|font| {
        // Once, for as long as the program runs.
        register_font("sans-serif", FontStyle::Normal, Box::leak(font.into_boxed_slice())).is_ok()
    })
}

/// Draws `out`.
pub(crate) fn draw(out: &Path, panels: &[Panel<'_>]) -> Result<(), Failure> {
    let words = find_font();
    if !words {
        eprintln!("(no font was found: the plot has no words)");
    }
    let root = BitMapBackend::new(out, (1400, 450 * panels.len() as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
        let points = || panel.lines.iter().flat_map(|(_, points)| points);
        let end = points().map(|p| p.0).fold(1.0, f64::max);
        let least = points().map(|p| p.1).fold(0.0, f64::min);
        let most = points().map(|p| p.1).fold(least + 1e-3, f64::max);
        let room = (most - least) * 0.08;
        let mut builder = ChartBuilder::on(area);
        builder.margin(12);
        if words {
            builder.caption(panel.title, ("sans-serif", 20)).x_label_area_size(30).y_label_area_size(60);
        }
        let mut chart = builder.build_cartesian_2d(0.0..end, least - room..most + room)?;
        let mut mesh = chart.configure_mesh();
        if words {
            mesh.x_labels(14).y_labels(8).light_line_style(WHITE).x_desc("s");
        } else {
            mesh.x_labels(0).y_labels(0);
        }
        mesh.draw()?;
        for ((name, points), colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
            let line = chart.draw_series(LineSeries::new(points.iter().copied(), *colour))?;
            if words {
                line.label(name).legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], *colour));
            }
        }
        if words {
            chart
                .configure_series_labels()
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .label_font(("sans-serif", 15))
                .position(SeriesLabelPosition::UpperMiddle)
                .draw()?;
        }
    }
    root.present()?;
    Ok(())
}
