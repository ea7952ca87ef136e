//! The shell around the app: a thread that asks the engine, keys, signals, the terminal.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Builder;
use std::time::Duration;

use jiff::Timestamp;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::app::{App, Key, Next};
use super::engine::{Engine, NoAnswer};
use super::snapshot::Snapshot;
use super::view;
use crate::cli::Failure;

/// Between two rounds of questions.
const ROUND: Duration = Duration::from_secs(1);

/// How long a key, an answer or a signal waits at most.
const LOOK: Duration = Duration::from_millis(100);

type Answers = Receiver<Result<Snapshot, NoAnswer>>;

/// Gives the terminal back, whatever happens.
struct Screen(DefaultTerminal);

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows the engine until the user or a signal ends it.
///
/// # Errors
/// The terminal cannot be used.
pub(super) fn watch(engine: Engine) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::Failed(format!("the terminal cannot be used: {error}; try --once"))
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(failed)?;
    }
    let mut app = App::new(engine.address());
    let answers = ask(engine).map_err(failed)?;
    let mut screen = Screen(ratatui::try_init().map_err(failed)?);
    while !stop.load(Ordering::Relaxed) {
        while let Ok(answer) = answers.try_recv() {
            match answer {
                Ok(snapshot) => app.answered(snapshot),
                Err(why) => app.failed(why.to_string(), Timestamp::now()),
            }
        }
        let mut page = 1;
        let drawn = screen.0.draw(|frame| {
            let area = frame.area();
            page = view::draw(&app, Timestamp::now(), area, frame.buffer_mut());
        });
        drawn.map_err(failed)?;
        app.page = page;
        if take_key(&mut app).map_err(failed)? == Next::Quit {
            break;
        }
    }
    Ok(())
}

/// A thread that asks each second. It ends with the process: nothing of it is owed to anybody.
fn ask(engine: Engine) -> io::Result<Answers> {
    let (sender, answers) = sync_channel(1);
    Builder::new().name("engine".to_owned()).spawn(move || {
        while sender.send(engine.snapshot()).is_ok() {
            std::thread::sleep(ROUND);
        }
    })?;
    Ok(answers)
}

/// Waits a moment for a key.
fn take_key(app: &mut App) -> io::Result<Next> {
    match event::poll(LOOK) {
        Ok(true) => {}
        Ok(false) => return Ok(Next::Go),
        // A signal: the loop looks after it.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Next::Go),
        Err(error) => return Err(error),
    }
    match event::read()? {
        Event::Key(key) if key.kind != KeyEventKind::Release => match meant(key) {
            Some(Meant::Quit) => Ok(Next::Quit),
            Some(Meant::Key(key)) => Ok(app.key(key)),
            None => Ok(Next::Go),
        },
        _ => Ok(Next::Go),
    }
}

/// What a key of the terminal means.
enum Meant {
    Key(Key),
    Quit,
}

fn meant(key: KeyEvent) -> Option<Meant> {
    let has_control = key.modifiers.contains(KeyModifiers::CONTROL);
    let key = match key.code {
        KeyCode::Char('c' | 'd') if has_control => return Some(Meant::Quit),
        KeyCode::Char(_) if has_control => return None,
        KeyCode::Char(char) => Key::Char(char),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    };
    Some(Meant::Key(key))
}
