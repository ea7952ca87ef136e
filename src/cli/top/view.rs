//! The frame: head, troubles, customers, keys. Pure: the app and the time in, cells out.
//!
//! ```text
//! flipped-lb 0.1.0 at 127.0.0.1:9100  running  up 3h 12m  written, shared
//! in 10000/s  out 9998/s  queued 12  in flight 3  oldest 2.5s table2
//! received ..  accepted ..  duplicates ..  rejected ..  redelivered ..
//! 4 sources  4 subscribers  journal 3 segments, 192.0 MiB  store 12 behind, 0s
//! ! table2: its subscriber does not read, ..., since 2026-11-30T03:11:00Z
//! customer             by level    flight oldest waits for  since sub   in/s  out/s
//! ```

use crate::plural::several;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{
    Cell, Paragraph, Row, StatefulWidget, Table, TableState, Widget as _, Wrap,
};

use super::app::App;
use super::snapshot::{Customer, Snapshot};

/// Lines that troubles take at most: the customers are to be seen too.
const TROUBLE_LINES_MAX: u16 = 6;

/// From this width on there is room for all words.
const WIDE: u16 = 110;

/// Of a frame that is printed.
const PLAIN_WIDTH: u16 = 130;

/// Draws a frame, and returns how many customers it has room for.
pub(super) fn draw(app: &App, now: Timestamp, area: Rect, buf: &mut Buffer) -> usize {
    let head = head(app);
    let troubles = troubles(app, now, area.width);
    let [top, middle, table, bottom] = Layout::vertical([
        Constraint::Length(head.len() as u16),
        Constraint::Length(troubles.1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    Paragraph::new(head).render(top, buf);
    let red = Style::new().fg(Color::Red);
    let words = Paragraph::new(troubles.0)
        .style(red)
        .wrap(Wrap { trim: true });
    words.render(middle, buf);
    let rows = app.rows();
    let style = match app.silence {
        Some(_) => Style::new().add_modifier(Modifier::DIM),
        None => Style::new(),
    };
    let customers = customers(&rows, now, area.width).style(style);
    let marked = customers.row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(app.selected);
    StatefulWidget::render(marked, table, buf, &mut state);
    Line::from(foot(app, rows.len())).render(bottom, buf);
    usize::from(table.height.saturating_sub(1)).max(1)
}

/// The whole frame as text: every customer, no colours, no keys.
pub(super) fn plain(app: &App, now: Timestamp) -> String {
    let (rows, head) = (app.rows(), head(app));
    let (words, lines) = troubles(app, now, PLAIN_WIDTH);
    let height = head.len() + usize::from(lines) + rows.len() + 1;
    // A buffer has 65,535 cells at most in a column.
    let height = u16::try_from(height).unwrap_or(u16::MAX);
    let area = Rect::new(0, 0, PLAIN_WIDTH, height);
    let mut buf = Buffer::empty(area);
    let [top, middle, table] = Layout::vertical([
        Constraint::Length(head.len() as u16),
        Constraint::Length(lines),
        Constraint::Fill(1),
    ])
    .areas(area);
    Paragraph::new(head).render(top, &mut buf);
    Paragraph::new(words)
        .wrap(Wrap { trim: true })
        .render(middle, &mut buf);
    let mut state = TableState::new();
    let all = customers(&rows, now, PLAIN_WIDTH);
    StatefulWidget::render(all, table, &mut buf, &mut state);
    text(&buf)
}

/// The letters of the cells, without the blanks at the ends of lines.
pub(super) fn text(buf: &Buffer) -> String {
    let mut text = String::new();
    for line in buf.content.chunks(usize::from(buf.area.width.max(1))) {
        let letters: String = line.iter().map(ratatui::buffer::Cell::symbol).collect();
        text.push_str(letters.trim_end());
        text.push('\n');
    }
    text
}

fn head(app: &App) -> Vec<Line<'static>> {
    let address = &app.address;
    let Some(snapshot) = &app.snapshot else {
        return vec![Line::from(format!("flipped-lb at {address}"))];
    };
    let stats = &snapshot.stats;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let first = format!(
        "flipped-lb {} at {address}  {}  up {}  {}, {}",
        stats.version,
        stats.phase,
        lasting(stats.uptime_seconds as f64),
        stats.durability,
        stats.threading_mode
    );
    let lines = [
        flow(snapshot),
        format!(
            "received {}  accepted {}  duplicates {}  rejected {}  redelivered {}",
            stats.received, stats.accepted, stats.duplicates, stats.rejected, stats.redelivered
        ),
        format!(
            "{}  {}  journal {}, {}  store {} behind, {}",
            several(stats.sources_connected, "source"),
            several(stats.subscribers_connected, "subscriber"),
            several(stats.journal_segments, "file"),
            size(stats.journal_disk),
            count(stats.store_lag_messages),
            lasting(stats.store_lag_seconds as f64)
        ),
    ];
    let lines = lines.into_iter().map(Line::from);
    [Line::styled(first, bold)]
        .into_iter()
        .chain(lines)
        .collect()
}

fn flow(snapshot: &Snapshot) -> String {
    let (accepted, settled) = snapshot.rates();
    let oldest = snapshot.oldest().map_or_else(
        || "none waits".to_owned(),
        |(seconds, id)| format!("oldest wait {} ({id})", lasting(seconds)),
    );
    format!(
        "in {accepted:.0}/s  out {settled:.0}/s  queued {}  in flight {}  {oldest}",
        snapshot.stats.queued, snapshot.stats.in_flight
    )
}

/// What is wrong, and how many lines it takes.
fn troubles(app: &App, now: Timestamp, width: u16) -> (Vec<Line<'static>>, u16) {
    let mut words = Vec::new();
    if let Some(silence) = &app.silence {
        let (why, since) = (&silence.why, clock(silence.since, now));
        let old = match app.snapshot {
            Some(_) => "; what is shown is of then",
            None => "",
        };
        words.push(format!(
            "! no answer since {since}: {why}; trying again each second{old}"
        ));
    }
    let told = app.snapshot.iter().flat_map(|it| &it.troubles);
    words.extend(told.map(|it| format!("! {it}")));
    // Breaking at words takes a line more now and then.
    let room = usize::from(width.max(20) - 10);
    let needed: usize = words
        .iter()
        .map(|it| it.chars().count().div_ceil(room))
        .sum();
    let lines = u16::try_from(needed)
        .unwrap_or(u16::MAX)
        .min(TROUBLE_LINES_MAX);
    (words.into_iter().map(Line::from).collect(), lines)
}

fn foot(app: &App, shown: usize) -> String {
    if app.is_typing {
        return format!("search: {}_   Enter keeps it, Esc forgets it", app.search);
    }
    let search = match app.search.as_str() {
        "" => String::new(),
        words => format!("   only {words}, Esc: all"),
    };
    let all = app.snapshot.as_ref().map_or(0, |it| it.customers.len());
    format!(
        "q quit  s sort: {}  / search  up/down  {shown} of {all} customers{search}",
        app.sort.label()
    )
}

/// A column: its heading, its width (`None`: what is left), and whether narrow frames have it too.
type Column = (&'static str, Option<u16>, bool);

const COLUMNS: [Column; 11] = [
    ("customer", None, true),
    ("queued", Some(6), false),
    ("by level", Some(11), true),
    ("flight", Some(6), true),
    ("oldest", Some(6), true),
    ("waits for", Some(10), true),
    ("since", Some(5), true),
    ("sub", Some(5), true),
    ("in/s", Some(5), true),
    ("out/s", Some(5), true),
    ("again", Some(6), false),
];

/// The columns with more room where there is some.
fn columns(is_wide: bool) -> impl Iterator<Item = (usize, &'static str, Constraint)> {
    let columns = COLUMNS.into_iter().enumerate();
    let shown = columns.filter(move |(_, (_, _, is_always))| *is_always || is_wide);
    shown.map(move |(place, (heading, width, _))| {
        let width = match (heading, width) {
            ("by level", _) if is_wide => Constraint::Length(18),
            ("waits for", _) if is_wide => Constraint::Length(15),
            ("since", _) if is_wide => Constraint::Length(8),
            (_, Some(width)) => Constraint::Length(width),
            (_, None) => Constraint::Fill(1),
        };
        (place, heading, width)
    })
}

fn customers(rows: &[&Customer], now: Timestamp, width: u16) -> Table<'static> {
    let is_wide = width >= WIDE;
    let heading = columns(is_wide).map(|(_, heading, _)| heading);
    let rows = rows.iter().map(|it| row(it, now, is_wide));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    Table::new(rows, columns(is_wide).map(|(_, _, width)| width))
        .header(Row::new(heading).style(bold))
        .column_spacing(1)
}

fn row(it: &Customer, now: Timestamp, is_wide: bool) -> Row<'static> {
    let levels: Vec<_> = it.levels().into_iter().map(count).collect();
    let waits_for = match it.waits_for.as_deref() {
        Some("acknowledgement") if !is_wide => "acknowl.".to_owned(),
        other => other.unwrap_or("").to_owned(),
    };
    let since = it.waits_since.map_or_else(String::new, |it| clock(it, now));
    let cells = [
        it.id.clone(),
        count(it.queued),
        levels.join("/"),
        count(it.in_flight),
        it.oldest_wait_seconds.map_or_else(String::new, lasting),
        waits_for,
        // To the minute, where it is cut.
        since,
        subscriber(it),
        count(it.accepted_per_second as u64),
        count(it.settled_per_second as u64),
        count(it.redelivered),
    ];
    let style = match (&it.waits_for, &it.subscriber) {
        (Some(_), Some(_)) => Style::new().fg(Color::Red),
        (Some(_), None) => Style::new().fg(Color::Yellow),
        (None, _) => Style::new(),
    };
    let shown = columns(is_wide).map(|(place, ..)| Cell::from(cells[place].clone()));
    Row::new(shown).style(style)
}

/// `ack`, `yes`, `-`; and how many stand by.
fn subscriber(it: &Customer) -> String {
    let active = match &it.subscriber {
        Some(subscriber) if subscriber.ack => "ack",
        Some(_) => "yes",
        None => "-",
    };
    match it.standbys {
        0 => active.to_owned(),
        standbys => format!("{active}+{standbys}"),
    }
}

/// At most five letters.
pub(super) fn count(number: u64) -> String {
    match number {
        0..=9_999 => number.to_string(),
        10_000..=999_999 => format!("{}k", number / 1_000),
        1_000_000..=99_999_999 => format!("{:.1}M", (number / 100_000) as f64 / 10.0),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// At most six letters up to a thousand days.
pub(super) fn lasting(seconds: f64) -> String {
    let whole = seconds as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3_600, whole / 86_400);
    match whole {
        0..=9 if seconds.fract() > 0.0 => format!("{seconds:.1}s"),
        0..=59 => format!("{whole}s"),
        60..=3_599 => format!("{minutes}m{:02}s", whole % 60),
        3_600..=86_399 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    match mib {
        ..1024.0 => format!("{mib:.1} MiB"),
        _ => format!("{:.1} GiB", mib / 1024.0),
    }
}

/// The time of day, or the day where that is another one; UTC.
fn clock(at: Timestamp, now: Timestamp) -> String {
    let day = |it: Timestamp| it.to_zoned(TimeZone::UTC).date();
    match day(at) == day(now) {
        true => at.strftime("%H:%M:%S").to_string(),
        false => at.strftime("%m-%d").to_string(),
    }
}
