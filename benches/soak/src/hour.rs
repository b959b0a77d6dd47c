//! A plot of an hour in virtual time: four masters, and the microphones' own files beside them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Failure;
use crate::plot::{Panel, draw};

/// By name: where each clap lies, in seconds, and how far off, in ms.
type Lines = BTreeMap<String, Vec<(f64, f64)>>;

pub(crate) fn run(points: &Path, plot: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(points)?;
    let corrected = lines(&text, "corrected")?;
    let alone = lines(&text, "alone")?;
    for (name, points) in &corrected {
        let worst = points.iter().map(|point| point.1.abs()).fold(0.0, f64::max);
        let slid = alone.get(name).and_then(|points| points.last()).map_or(f64::NAN, |point| point.1);
        println!(
            "{name:<10} {:>4} claps, at worst {worst:.3} ms off; alone {slid:+.1} ms at the end",
            points.len()
        );
    }
    let panel = |title, lines: Lines| Panel { title, lines: lines.into_iter().collect() };
    draw(
        plot,
        &[
            panel("masters: where each clap lies, ms from where it was", corrected),
            panel("microphones alone: where each clap lies, ms from where it was", alone),
        ],
    )?;
    println!("plot: {}", plot.display());
    Ok(())
}

/// The lines of one kind.
fn lines(text: &str, wanted: &str) -> Result<Lines, Failure> {
    let mut lines = Lines::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let [name, kind, at, off] = fields[..] else { return Err(format!("no point: {line}").into()) };
        if kind == wanted {
            lines.entry(name.into()).or_default().push((at.parse()?, off.parse()?));
        }
    }
    if lines.is_empty() { Err(format!("nothing is {wanted}").into()) } else { Ok(lines) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_sorted_by_whose_they_are() {
        let text = "a,corrected,7,0.5\na,alone,7,2\nb,corrected,7,-1\na,corrected,67,0.25\n";
        let corrected = lines(text, "corrected").unwrap();
        assert_eq!(corrected["a"], [(7.0, 0.5), (67.0, 0.25)]);
        assert_eq!(corrected["b"], [(7.0, -1.0)]);
        assert_eq!(lines(text, "alone").unwrap().len(), 1);
        assert!(lines(text, "other").is_err() && lines("a,alone,7", "alone").is_err());
    }
}
