//! The words of a plot.

/// Places at which systems have a plain font.
const FONTS: [&str; 5] = [
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    "/System/Library/Fonts/Supplemental/Arial.ttf",
];

/// The bytes of the fonts that this system has, each a TrueType file; without one a plot has no words.
pub fn fonts() -> impl Iterator<Item = Vec<u8>> {
    FONTS.iter().filter_map(|path| std::fs::read(path).ok())
}
