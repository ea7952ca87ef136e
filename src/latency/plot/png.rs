//! A picture as PNG: the SVG, rendered with letters of this folder, whatever the system has.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

use super::PlotError;

const FONT: &[u8] = include_bytes!("font/Roboto-Regular.ttf");
const FAMILY: &str = "Roboto";

/// Pixels of the PNG for each one of the SVG: letters stay sharp on any screen.
const SCALE: f32 = 2.0;

/// Renders a picture. Letters that are neither Latin, Greek nor Cyrillic are left out.
///
/// # Errors
/// It is no SVG, or there is no memory for it.
pub(crate) fn png(svg: &str) -> Result<Vec<u8>, PlotError> {
    let mut fonts = Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family(FAMILY);
    let options = Options {
        font_family: FAMILY.to_owned(),
        fontdb: Arc::new(fonts),
        ..Options::default()
    };
    let failed = |why: &dyn std::fmt::Display| PlotError::Draw(why.to_string());
    let tree = Tree::from_str(svg, &options).map_err(|it| failed(&it))?;
    let size = tree
        .size()
        .to_int_size()
        .scale_by(SCALE)
        .ok_or_else(|| failed(&"it has no size"))?;
    let mut pixels = Pixmap::new(size.width(), size.height())
        .ok_or_else(|| failed(&"there is no memory for so many pixels"))?;
    resvg::render(
        &tree,
        Transform::from_scale(SCALE, SCALE),
        &mut pixels.as_mut(),
    );
    pixels.encode_png().map_err(|it| failed(&it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_drawn_without_fonts_of_the_system() {
        let picture = |text: &str| {
            let svg = format!(
                "<svg width='80' height='20' xmlns='http://www.w3.org/2000/svg'>\
                 <text x='5' y='15' font-family='sans-serif'>{text}</text></svg>"
            );
            let png = png(&svg).expect("it is drawn");
            assert_eq!(png[1..4], *b"PNG");
            Pixmap::decode_png(&png).expect("a PNG")
        };
        let dark = |it: &Pixmap| it.pixels().iter().filter(|it| it.alpha() > 0).count();
        let [nothing, latin, cyrillic] = ["", "p99", "стол"].map(picture);
        assert_eq!((nothing.width(), dark(&nothing)), (160, 0));
        assert!(dark(&latin) > 50 && dark(&cyrillic) > 50);
    }

    #[test]
    fn what_is_no_svg_is_refused() {
        assert!(matches!(png("hello"), Err(PlotError::Draw(_))));
    }
}
