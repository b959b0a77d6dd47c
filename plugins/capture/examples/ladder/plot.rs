//! The plot: rate, rung, and what became of the voice, over time.

use std::path::Path;
use std::time::{Duration, Instant};

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;

use crate::person::Sample;
use crate::proxy::Passage;
use crate::{Failed, queued, spans};

/// Rates and losses are summed up over so long, in seconds.
const BIN: f64 = 0.5;

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Whether words can be drawn.
fn find_font() -> bool {
    hyperzoom_testkit::fonts().any(|font| {
        // Once, for as long as the program runs.
        register_font("sans-serif", FontStyle::Normal, Box::leak(font.into_boxed_slice())).is_ok()
    })
}

/// Draws `out`, a PNG.
pub(crate) fn draw(
    out: &Path,
    sent: &[Sample],
    heard: &[Sample],
    passages: &[Passage],
    begin: Instant,
) -> Result<(), Failed> {
    let words = find_font();
    if !words {
        eprintln!("(no font was found: the plot has no words)");
    }
    let root = BitMapBackend::new(out, (1400, 1300)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((4, 1));
    let end = spans().last().map_or(Duration::ZERO, |(_, _, end)| end).as_secs_f64();
    let at = |moment: Instant| moment.saturating_duration_since(begin).as_secs_f64();
    let after = |moment: &Instant| *moment >= begin;

    let rate = |wanted: &dyn Fn(&Passage) -> bool| {
        let mut bins = vec![0.0; (end / BIN) as usize + 1];
        for passage in passages.iter().filter(|p| wanted(p)) {
            if let Some(arrived) = passage.arrived.filter(after)
                && let Some(bin) = bins.get_mut((at(arrived) / BIN) as usize)
            {
                *bin += passage.bytes as f64 * 8.0 / BIN / 1e3;
            }
        }
        bins.into_iter().enumerate().map(|(n, kbps)| (n as f64 * BIN, kbps)).collect::<Vec<_>>()
    };
    let (video, voice) = (rate(&|p| p.is_video), rate(&|p| p.is_audio));
    let title = "what arrives, kbit/s: video blue, voice red, filling and the like grey";
    let other = rate(&|p| !p.is_video && !p.is_audio);
    panel(
        &areas[0],
        words,
        title,
        end,
        700.0,
        &[(&video, BLUE), (&voice, RED), (&other, RGBColor(150, 150, 150))],
    )?;

    let rung: Vec<(f64, f64)> = sent
        .iter()
        .filter(|s| after(&s.at))
        .flat_map(|s| [(at(s.at), 4.0 - f64::from(s.rung as u8))])
        .collect();
    panel(
        &areas[1],
        words,
        "rung: 4 is 400 kbit/s, 3 is 200, 2 is 15 fps, 1 is 360p, 0 is voice alone",
        end,
        4.5,
        &[(&rung, BLUE)],
    )?;

    let delays: Vec<(f64, f64)> = passages
        .iter()
        .filter(|p| p.is_audio && after(&p.sent))
        .filter_map(|p| Some((at(p.sent), queued(p)?)))
        .collect();
    let depth: Vec<(f64, f64)> = heard
        .iter()
        .filter(|s| after(&s.at))
        .map(|s| (at(s.at), s.voice.depth.as_secs_f64() * 1e3))
        .collect();
    let title = "voice, ms: red how long each packet queued, blue the depth of the jitter buffer";
    panel(&areas[2], words, title, end, 120.0, &[(&delays, RED), (&depth, BLUE)])?;

    let mut lost = vec![0.0; (end / BIN) as usize + 1];
    for passage in passages.iter().filter(|p| p.is_audio && p.arrived.is_none() && after(&p.sent)) {
        if let Some(bin) = lost.get_mut((at(passage.sent) / BIN) as usize) {
            *bin += 1.0;
        }
    }
    let lost: Vec<(f64, f64)> =
        lost.into_iter().enumerate().map(|(n, lost)| (n as f64 * BIN, lost)).collect();
    let concealed: Vec<(f64, f64)> = heard
        .windows(2)
        .filter(|pair| after(&pair[0].at))
        .map(|pair| {
            let more = pair[1].voice.concealed_frames.saturating_sub(pair[0].voice.concealed_frames);
            (at(pair[1].at), more as f64)
        })
        .collect();
    let title = "voice: red packets lost on the path in half a second, blue frames made up in a tenth";
    panel(&areas[3], words, title, end, 40.0, &[(&lost, RED), (&concealed, BLUE)])?;
    root.present()?;
    Ok(())
}

/// One diagram over the time of the call, with a line where the path changes.
fn panel(
    area: &Area<'_>,
    words: bool,
    title: &str,
    end: f64,
    most: f64,
    lines: &[(&[(f64, f64)], RGBColor)],
) -> Result<(), Failed> {
    let mut builder = ChartBuilder::on(area);
    builder.margin(12);
    if words {
        builder.caption(title, ("sans-serif", 20)).x_label_area_size(30).y_label_area_size(50);
    }
    let mut chart = builder.build_cartesian_2d(0.0..end, 0.0..most)?;
    let mut mesh = chart.configure_mesh();
    if words {
        mesh.x_labels(14).y_labels(6).light_line_style(WHITE);
    } else {
        mesh.x_labels(0).y_labels(0);
    }
    mesh.draw()?;
    for (name, from, _) in spans() {
        let from = from.as_secs_f64();
        chart.draw_series(LineSeries::new([(from, 0.0), (from, most)], BLACK))?;
        if words {
            let label = Text::new(name, (from + 0.5, most * 0.98), ("sans-serif", 15));
            chart.draw_series(std::iter::once(label))?;
        }
    }
    for (points, colour) in lines {
        let points = points.iter().map(|(x, y)| (*x, y.min(most)));
        chart.draw_series(LineSeries::new(points, *colour))?;
    }
    Ok(())
}
