//! What people see: the theme, the panels, and the pictures of the grid.
//!
//! A panel is a function of plain data ([`model`]) to what is drawn, and returns what a person asks for. The pictures are composited on the
//! GPU, below what egui draws ([`pictures`]).

pub mod layout;
pub mod model;
pub mod panels;
pub mod pictures;
pub mod theme;
pub mod widgets;
