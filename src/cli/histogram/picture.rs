//! Pictures to files: SVG, or PNG where the name says so.

use std::path::Path;

use super::over_time::Series;
use super::pairs::Pair;
use super::{HistogramArgs, Named, slo};
use crate::cli::Failure;
use crate::latency::plot::{
    Drawn, DrawnSteps, Look, PlotError, plot_drawn, plot_heat_map, plot_over_time, png,
};
use crate::log::say;

/// Refuses a file that is read, and an ending that is neither of both.
pub(super) fn check(args: &HistogramArgs) -> Result<(), Failure> {
    let Some(out) = &args.out else { return Ok(()) };
    let name = out.display();
    if args.files.iter().chain(&args.compare).any(|it| it == out) {
        return Err(Failure::Usage(format!(
            "--out {name} is one of the files to read; name another"
        )));
    }
    match ending(out) {
        Some(_) => Ok(()),
        None => Err(Failure::Usage(format!(
            "--out {name}: pictures are .svg or .png; end the name so"
        ))),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Svg,
    Png,
}

fn ending(path: &Path) -> Option<Ending> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "svg" => Some(Ending::Svg),
        "png" => Some(Ending::Png),
        _ => None,
    }
}

/// Refuses more curves than a picture tells apart.
fn told_apart(args: &HistogramArgs, count: usize) -> Result<(), Failure> {
    if args.out.is_none() || count <= Look::COUNT {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "--out: {count} curves, and a picture tells {} apart; choose fewer files, or fewer tags by --tag, such as \
         total",
        Look::COUNT
    )))
}

pub(super) fn curves(args: &HistogramArgs, curves: &[Named]) -> Result<(), Failure> {
    told_apart(args, curves.len())?;
    let drawn: Vec<_> = (0..)
        .zip(curves)
        .map(|(place, (name, curve))| Drawn {
            name,
            curve,
            look: Look::of(place),
        })
        .collect();
    let title = title(args, "Latency by percentile");
    save(args, || plot_drawn(title, &drawn, &slo::limits(&args.slo)))
}

/// Both of a pair in one colour, with different dashes.
pub(super) fn pairs(args: &HistogramArgs, pairs: &[Pair]) -> Result<(), Failure> {
    told_apart(args, 2 * pairs.len())?;
    let mut drawn = Vec::new();
    for (place, pair) in (0..).zip(pairs) {
        for ((name, curve), look) in [&pair.file, &pair.other]
            .into_iter()
            .zip(Look::of_pair(place))
        {
            drawn.push(Drawn { name, curve, look });
        }
    }
    let title = title(args, "Latency by percentile");
    save(args, || plot_drawn(title, &drawn, &slo::limits(&args.slo)))
}

pub(super) fn series(args: &HistogramArgs, series: &[Series]) -> Result<(), Failure> {
    if !args.heat_map {
        told_apart(args, series.len())?;
    }
    let drawn: Vec<_> = series
        .iter()
        .map(|it| DrawnSteps {
            name: &it.name,
            steps: &it.steps,
            curve: &it.curve,
            unit_us: it.unit_us,
        })
        .collect();
    let limits = slo::limits(&args.slo);
    let title = title(args, "Latency over time");
    match args.heat_map {
        true => save(args, || plot_heat_map(title, &drawn, &limits)),
        false => save(args, || plot_over_time(title, &drawn, &limits)),
    }
}

fn title<'a>(args: &'a HistogramArgs, default: &'a str) -> &'a str {
    args.title.as_deref().unwrap_or(default)
}

fn save(
    args: &HistogramArgs,
    draw: impl FnOnce() -> Result<String, PlotError>,
) -> Result<(), Failure> {
    let Some(out) = &args.out else { return Ok(()) };
    let failed = |it: PlotError| Failure::Failed(it.to_string());
    let svg = draw().map_err(failed)?;
    let picture = match ending(out) {
        Some(Ending::Png) => png(&svg).map_err(failed)?,
        _ => svg.into_bytes(),
    };
    std::fs::write(out, picture).map_err(|error| {
        Failure::Failed(format!(
            "cannot write {}: {error}; name another file",
            out.display()
        ))
    })?;
    say(format!("the picture is in {}", out.display()));
    Ok(())
}
