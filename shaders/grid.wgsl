// Draws one picture of the grid: three planes of a single channel become RGB.

struct Picture {
  // R', G' and B' from (Y, U, V, 1), for the picture's matrix and range.
  red: vec4<f32>, green: vec4<f32>, blue: vec4<f32>,
  // Left, top, right and bottom of where it is drawn, from -1 to 1, upwards. Left over right mirrors it.
  area: vec4<f32>,
  // Over 0 where the target encodes by the sRGB curve what is written to it.
  encodes: vec4<f32>,
}

@group(0) @binding(0) var<uniform> picture: Picture;
@group(0) @binding(1) var y_plane: texture_2d<f32>;
@group(0) @binding(2) var u_plane: texture_2d<f32>;
@group(0) @binding(3) var v_plane: texture_2d<f32>;
@group(0) @binding(4) var smooth_sampler: sampler;

struct Corner {
  @builtin(position) position: vec4<f32>,
  @location(0) uv: vec2<f32>,
}

@vertex
fn corner(@builtin(vertex_index) index: u32) -> Corner {
  let uv = vec2<f32>(f32(index & 1u), f32(index >> 1u));
  return Corner(vec4<f32>(mix(picture.area.xy, picture.area.zw, uv), 0.0, 1.0), uv);
}

// The sRGB curve (IEC 61966-2-1), backwards: a target that applies it gets the values that were sent.
fn decoded(c: vec3<f32>) -> vec3<f32> {
  return select(pow((c + 0.055) / 1.055, vec3<f32>(2.4)), c / 12.92, c <= vec3<f32>(0.04045));
}

@fragment
fn colour(in: Corner) -> @location(0) vec4<f32> {
  let yuv = vec4<f32>(
    textureSample(y_plane, smooth_sampler, in.uv).r,
    textureSample(u_plane, smooth_sampler, in.uv).r,
    textureSample(v_plane, smooth_sampler, in.uv).r,
    1.0,
  );
  var rgb = vec3<f32>(dot(picture.red, yuv), dot(picture.green, yuv), dot(picture.blue, yuv));
  rgb = clamp(rgb, vec3<f32>(0.0), vec3<f32>(1.0));
  if (picture.encodes.x > 0.0) { rgb = decoded(rgb); }
  return vec4<f32>(rgb, 1.0);
}
