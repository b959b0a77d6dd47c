// Draws one picture of the window: three planes of a single channel become RGB, as in grid.wgsl, with round corners.
// It goes through Bevy's preprocessor, and grid.wgsl does not.

#import bevy_sprite::mesh2d_vertex_output::VertexOutput
#ifndef SRGB_OUTPUT
#import bevy_render::color_operations::srgb_to_linear
#endif

struct Picture {
  // R', G' and B' from (Y, U, V, 1), for the picture's matrix and range.
  red: vec4<f32>, green: vec4<f32>, blue: vec4<f32>,
  // What of the picture is seen: its left, top, right and bottom, from 0 to 1. Left over right mirrors it.
  seen: vec4<f32>,
  // Width and height of where it is drawn, the radius of its corners, and how much of its colour is left, from 0 to 1.
  look: vec4<f32>,
  // A pixel of the screen is the mean of so many places of the luma plane each way, and of so many of the others.
  places: vec4<u32>,
}

@group(#{MATERIAL_BIND_GROUP}) @binding(0) var<uniform> picture: Picture;
@group(#{MATERIAL_BIND_GROUP}) @binding(1) var y_plane: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(2) var u_plane: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(3) var v_plane: texture_2d<f32>;
@group(#{MATERIAL_BIND_GROUP}) @binding(4) var smooth_sampler: sampler;

// The mean of `n` by `n` places spread over a pixel of the screen, which spans `right` and `down` in the picture. Without it a
// large picture in a small tile shows only some of its samples, and edges crawl.
fn mean(plane: texture_2d<f32>, uv: vec2<f32>, right: vec2<f32>, down: vec2<f32>, n: u32) -> f32 {
  var sum = 0.0;
  for (var j = 0u; j < n; j++) {
    for (var i = 0u; i < n; i++) {
      let offset = (vec2<f32>(f32(i), f32(j)) + 0.5) / f32(n) - 0.5;
      sum += textureSampleLevel(plane, smooth_sampler, uv + offset.x * right + offset.y * down, 0.0).r;
    }
  }
  return sum / f32(n * n);
}

// How far a point lies outside a rectangle of half a size `half` around 0 with round corners; below 0 inside.
fn outside(point: vec2<f32>, half: vec2<f32>, radius: f32) -> f32 {
  let beyond = abs(point) - half + radius;
  return length(max(beyond, vec2<f32>(0.0))) + min(max(beyond.x, beyond.y), 0.0) - radius;
}

@fragment
fn fragment(in: VertexOutput) -> @location(0) vec4<f32> {
  let uv = mix(picture.seen.xy, picture.seen.zw, in.uv);
  let right = dpdx(uv);
  let down = dpdy(uv);
  let size = picture.look.xy;
  let distance = outside((in.uv - 0.5) * size, size * 0.5, picture.look.z);
  let edge = max(fwidth(distance), 1e-4);

  let u = mean(u_plane, uv, right, down, picture.places.y);
  let v = mean(v_plane, uv, right, down, picture.places.y);
  // Without colour both are 128.
  let chroma = mix(vec2<f32>(128.0 / 255.0), vec2<f32>(u, v), picture.look.w);
  let yuv = vec4<f32>(mean(y_plane, uv, right, down, picture.places.x), chroma, 1.0);
  var rgb = vec3<f32>(dot(picture.red, yuv), dot(picture.green, yuv), dot(picture.blue, yuv));
  rgb = clamp(rgb, vec3<f32>(0.0), vec3<f32>(1.0));
#ifndef SRGB_OUTPUT
  rgb = srgb_to_linear(rgb);
#endif
  return vec4<f32>(rgb, clamp(0.5 - distance / edge, 0.0, 1.0));
}
