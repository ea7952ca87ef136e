//! A browser: Debian's chromium, driven by its chromedriver over WebDriver. Each has a profile of its own and
//! is ended with its test.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::http::Method;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use url::{ParseError, Url};

use crate::support::PATIENCE;

/// How often a click is tried that hits another element, and how long apart.
const CLICKS_MAX: u32 = 20;
const LOOK: std::time::Duration = std::time::Duration::from_millis(200);

/// Of chromium: nothing asks the network for anything but what the page asks for.
pub(crate) const ARGUMENTS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-quic",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// The driver and all that it has started.
struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    fn start() -> Self {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: test.sh installs the Debian package chromium-driver");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (mut lines, mut said) = (lines.map_while(Result::ok), String::new());
        let mut ports = lines.by_ref().filter_map(|line| {
            said.push_str(&line);
            let (_, rest) = line.split_once("started successfully on port ")?;
            rest.trim_end_matches('.').parse().ok()
        });
        let port = ports.next();
        let port = port.unwrap_or_else(|| panic!("chromedriver says no port: {said}"));
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// A page that is open.
pub(crate) struct Browser {
    client: Client,
    runtime: Runtime,
    _driver: Driver,
    _profile: tempfile::TempDir,
}

/// A command of chromedriver's own: its path behind the session, and its body.
#[derive(Debug)]
struct Own(&'static str, Value);

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    pub(crate) fn open(url: &str) -> Self {
        let (driver, profile) = (Driver::start(), tempfile::tempdir().expect("a directory"));
        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is an object");
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let address = format!("http://127.0.0.1:{}", driver.port);
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities).connect(&address).await
        });
        let browser = Self {
            client: client.expect("a session"),
            runtime,
            _driver: driver,
            _profile: profile,
        };
        browser.go(url);
        browser
    }

    pub(crate) fn go(&self, url: &str) {
        self.run(self.client.goto(url)).expect("it loads");
    }

    pub(crate) fn back(&self) {
        self.run(self.client.back()).expect("it goes back");
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// What a script returns.
    pub(crate) fn script(&self, script: &str) -> Value {
        let value = self.run(self.client.execute(script, Vec::new()));
        value.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The text of the first element that a selector finds; empty: there is none.
    pub(crate) fn text(&self, selector: &str) -> String {
        let found = format!("return document.querySelector({selector:?})?.textContent ?? ''");
        self.script(&found).as_str().unwrap_or_default().to_owned()
    }

    /// How many elements a selector finds.
    pub(crate) fn count(&self, selector: &str) -> u64 {
        let count = self.script(&format!(
            "return document.querySelectorAll({selector:?}).length"
        ));
        count.as_u64().expect("a number")
    }

    /// Waits until a script returns true.
    pub(crate) fn wait(&self, what: &str, script: &str) {
        let begun = Instant::now();
        while self.script(&format!("return Boolean({script})")) != true {
            assert!(begun.elapsed() < PATIENCE, "{what}: {}", self.text("body"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses keys where the focus is.
    pub(crate) fn press(&self, keys: &str) {
        self.run(async {
            let element = self
                .client
                .active_element()
                .await
                .expect("there is always one");
            element.send_keys(keys).await.expect("it takes keys");
        });
    }

    pub(crate) fn click(&self, selector: &str) {
        self.run(async {
            let element = self.client.find(fantoccini::Locator::Css(selector)).await;
            let element = element.unwrap_or_else(|error| panic!("{selector}: {error}"));
            // Where the page moves meanwhile, what was there is elsewhere when it is clicked.
            let mut clicked = element.click().await;
            for _ in 0..CLICKS_MAX {
                if clicked.is_ok() {
                    break;
                }
                tokio::time::sleep(LOOK).await;
                let script = "document.querySelector(arguments[0]).scrollIntoView({block: 'center', \
                              behavior: 'instant'})";
                let _ = self.client.execute(script, vec![json!(selector)]).await;
                clicked = element.click().await;
            }
            clicked.unwrap_or_else(|error| panic!("{selector}: {error}"));
        });
    }

    fn own(&self, path: &'static str, body: Value) -> Value {
        let answer = self.run(self.client.issue_cmd(Own(path, body)));
        answer.expect("chromedriver knows it")
    }

    fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.own("goog/cdp/execute", body)
    }

    /// What the browser has said of the page since it was asked last: errors and warnings.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.own("se/log", json!({ "type": "browser" }));
        let entries = log.as_array().expect("a list").iter();
        let bad = entries.filter(|it| it["level"] == "SEVERE" || it["level"] == "WARNING");
        bad.map(|it| it["message"].to_string()).collect()
    }

    /// Where requests went since it was asked last.
    pub(crate) fn origins(&self) -> Vec<String> {
        let log = self.own("se/log", json!({ "type": "performance" }));
        let entries = log.as_array().expect("a list").iter();
        let messages = entries.filter_map(|it| it["message"].as_str());
        let messages = messages.filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let sent = messages.filter(|it| it["message"]["method"] == "Network.requestWillBeSent");
        let urls = sent.filter_map(|it| {
            let url = &it["message"]["params"]["request"]["url"];
            Url::parse(url.as_str()?).ok()
        });
        let mut origins: Vec<_> = urls.map(|it| it.origin().ascii_serialization()).collect();
        origins.sort();
        origins.dedup();
        origins
    }

    /// The reader's screen, and whether the system is dark.
    pub(crate) fn screen(&self, width: u32, height: u32, is_dark: bool) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        );
    }

    /// Keeps what is on the screen as a picture among the build's files.
    pub(crate) fn picture(&self, name: &str) {
        let png = self.run(self.client.screenshot()).expect("a picture");
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, png).expect("it is written");
    }
}
