//! The script, the stylesheet and the icon: in the binary, each under a name with its hash, so that
//! browsers keep them and never have an old one.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

pub(super) struct Asset {
    name: String,
    content_type: &'static str,
    text: &'static str,
}

static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("js", "text/javascript", include_str!("assets/page.js")));
static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("css", "text/css", include_str!("assets/page.css")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("assets/icon.svg")));

impl Asset {
    fn new(ending: &str, content_type: &'static str, text: &'static str) -> Self {
        let mut name = String::from("page-");
        for byte in &Sha256::digest(text)[..8] {
            write!(name, "{byte:02x}").expect("a string takes everything");
        }
        write!(name, ".{ending}").expect("a string takes everything");
        Self {
            name,
            content_type,
            text,
        }
    }

    pub(super) fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

pub(super) fn script() -> &'static Asset {
    &SCRIPT
}

pub(super) fn style() -> &'static Asset {
    &STYLE
}

pub(super) fn icon() -> &'static Asset {
    &ICON
}

/// What a page is made with; another engine may have others.
pub(super) fn version() -> String {
    [script(), style()].map(|it| it.name.as_str()).concat()
}

pub(super) async fn get_asset(Path(name): Path<String>) -> Response {
    let all = [script(), style(), icon()];
    let Some(asset) = all.into_iter().find(|it| it.name == name) else {
        let words = "no such file; it may be of another version: load / again\n";
        return (StatusCode::NOT_FOUND, words).into_response();
    };
    let head = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (head, asset.text).into_response()
}
