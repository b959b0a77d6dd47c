//! Where tiles and pictures go. Plain geometry: nothing here draws.

use egui::{NumExt as _, Pos2, Rect, Vec2, pos2, vec2};

/// What most cameras send, as width over height.
pub const PICTURE: f32 = 16.0 / 9.0;

/// A tile may be this much taller than a picture; the picture then loses some at its sides.
const TALLEST: f32 = 4.0 / 3.0;

/// A tile may be this much wider, and the picture then loses some above and below.
const WIDEST: f32 = 2.0;

/// How many tiles stand in each row, for one to four of them. The first that shows the largest pictures is taken.
const WAYS: [&[&[usize]]; 4] =
    [&[&[1]], &[&[2], &[1, 1]], &[&[2, 1], &[3], &[1, 1, 1]], &[&[2, 2], &[4], &[1, 1, 1, 1]]];

/// Places of `tiles` tiles (1 to 4; more are not placed) of one size in `area`, `gap` apart, row by row. A row that is not full is
/// centred. Edges lie on whole points.
#[must_use]
pub fn grid(area: Rect, gap: f32, tiles: usize) -> Vec<Rect> {
    let Some(ways) = tiles.min(WAYS.len()).checked_sub(1).map(|index| WAYS[index]) else { return Vec::new() };
    let mut best: (f32, &[usize], Vec2) = (f32::NEG_INFINITY, ways[0], Vec2::ZERO);
    for &rows in ways {
        let size = tile(area.size(), gap, rows);
        let shown = size.x.min(size.y * PICTURE);
        if shown > best.0 {
            best = (shown, rows, size);
        }
    }
    let (_, rows, size) = best;
    placed(area, gap, rows, size)
}

/// The size of each tile where so many stand in each row.
fn tile(area: Vec2, gap: f32, rows: &[usize]) -> Vec2 {
    let across = rows.iter().copied().max().unwrap_or(1) as f32;
    let down = rows.len() as f32;
    let width = ((area.x - gap * (across - 1.0)) / across).max(1.0);
    let height = ((area.y - gap * (down - 1.0)) / down).max(1.0);
    vec2(width.min(height * WIDEST), height.min(width / TALLEST)).floor().at_least(Vec2::splat(1.0))
}

fn placed(area: Rect, gap: f32, rows: &[usize], size: Vec2) -> Vec<Rect> {
    let span = |tile: f32, count: usize| tile * count as f32 + gap * (count - 1) as f32;
    let top = area.center().y - span(size.y, rows.len()) / 2.0;
    let mut all = Vec::new();
    for (row, &count) in rows.iter().enumerate() {
        let left = area.center().x - span(size.x, count) / 2.0;
        for column in 0..count {
            let at = pos2(left + column as f32 * (size.x + gap), top + row as f32 * (size.y + gap));
            all.push(Rect::from_min_size(at.round(), size));
        }
    }
    all
}

/// What of a picture (`aspect` is its width over its height) is seen in a tile that it covers: from 0 to 1 of its width and height.
#[must_use]
pub fn cover(aspect: f32, tile: Vec2) -> Rect {
    let of_tile = tile.x / tile.y.max(1.0);
    let seen = if aspect > of_tile { vec2(of_tile / aspect, 1.0) } else { vec2(1.0, aspect / of_tile) };
    Rect::from_center_size(Pos2::new(0.5, 0.5), seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a window of 1280 by 800 points, without its margins and its bar.
    const USUAL: Rect = Rect { min: pos2(16.0, 16.0), max: pos2(1264.0, 704.0) };

    fn area(width: f32, height: f32) -> Rect {
        Rect::from_min_size(pos2(16.0, 16.0), vec2(width, height))
    }

    fn corners(tiles: &[Rect]) -> Vec<(f32, f32)> {
        tiles.iter().map(|tile| (tile.min.x, tile.min.y)).collect()
    }

    #[test]
    fn four_tiles_fill_a_usual_window_to_its_edges() {
        let tiles = grid(USUAL, 8.0, 4);
        assert!(tiles.iter().all(|tile| tile.size() == vec2(620.0, 340.0)));
        assert_eq!(corners(&tiles), [(16.0, 16.0), (644.0, 16.0), (16.0, 364.0), (644.0, 364.0)]);
    }

    #[test]
    fn three_stand_two_above_and_one_centred_below_or_in_a_row_where_it_is_wide() {
        let tiles = grid(USUAL, 8.0, 3);
        assert_eq!(corners(&tiles), [(16.0, 16.0), (644.0, 16.0), (330.0, 364.0)]);
        let tiles = grid(area(1248.0, 300.0), 8.0, 3);
        assert!(tiles.iter().all(|tile| tile.min.y == tiles[0].min.y), "{tiles:?}");
        let tiles = grid(area(300.0, 900.0), 8.0, 3);
        assert!(tiles.iter().all(|tile| tile.min.x == tiles[0].min.x), "{tiles:?}");
    }

    #[test]
    fn two_stand_beside_each_other_or_above_where_it_is_narrow() {
        let tiles = grid(USUAL, 8.0, 2);
        assert_eq!(tiles[0].min.y, tiles[1].min.y);
        let tiles = grid(area(608.0, 384.0 + 300.0), 8.0, 2);
        assert_eq!(tiles[0].min.x, tiles[1].min.x);
    }

    #[test]
    fn tiles_lie_within_the_area_and_apart_whatever_its_shape() {
        for width in [60.0, 300.0, 608.0, 1248.0, 3808.0] {
            for height in [40.0, 200.0, 384.0, 688.0, 2040.0] {
                for count in 0..=5 {
                    let (area, tiles) = (area(width, height), grid(area(width, height), 8.0, count));
                    assert_eq!(tiles.len(), count.min(4));
                    for (n, tile) in tiles.iter().enumerate() {
                        assert!(area.expand(1.0).contains_rect(*tile), "{tile:?} in {area:?}");
                        let aspect = tile.width() / tile.height();
                        assert!((1.2..=2.1).contains(&aspect), "{tile:?} in {area:?}");
                        for other in &tiles[..n] {
                            assert!(!tile.expand(3.0).intersects(other.expand(3.0)), "{tiles:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_area_without_room_has_tiles_of_a_point() {
        let tiles = grid(Rect::from_min_size(Pos2::ZERO, Vec2::ZERO), 8.0, 4);
        assert!(tiles.iter().all(|tile| tile.size() == vec2(1.0, 1.0)));
    }

    #[test]
    fn a_picture_covers_its_tile_and_loses_the_same_at_both_ends() {
        assert_eq!(cover(PICTURE, vec2(160.0, 90.0)), Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)));
        let wide = cover(2.0, vec2(100.0, 100.0));
        assert_eq!(wide, Rect::from_min_max(pos2(0.25, 0.0), pos2(0.75, 1.0)));
        let tall = cover(0.5, vec2(100.0, 100.0));
        assert_eq!(tall, Rect::from_min_max(pos2(0.0, 0.25), pos2(1.0, 0.75)));
    }
}
