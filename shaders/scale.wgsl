// A camera's picture becomes the small I420 picture that is sent: `unpack_*` where it came in another format, then
// `vertical`, then `horizontal`. All arithmetic is in integers, so every GPU computes the same, and the same as the CPU path.
//
// Planes lie in arrays of words, four samples each, the first in the lowest bits. Rows begin at a word everywhere but in
// what the camera delivered, which is read at any byte.

struct Plane {
  // What `vertical` reads: where the plane begins and how long a row is, in bytes; in samples, how large it is.
  from_at: u32, from_stride: u32, from_width: u32, from_height: u32,
  // What it writes, one row for each that is shown.
  middle_at: u32, middle_stride: u32,
  // What `horizontal` writes.
  to_at: u32, to_stride: u32, to_height: u32,
  // The area that the picture takes in it; the rest is black.
  left: u32, top: u32, width: u32, height: u32, black: i32,
  // Where the taps of a pass begin, words for each output, and the bits behind their binary point.
  rows_at: u32, rows_step: u32, rows_bits: u32,
  columns_at: u32, columns_step: u32, columns_bits: u32,
}

struct Job {
  planes: array<Plane, 3>,
  // Y, U and V from R, G, B and 1, times 2^13.
  colour: array<vec4<i32>, 3>,
  width: u32, height: u32,
}

@group(0) @binding(0) var<uniform> job: Job;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read> taps: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<u32>;

fn sample(at: u32) -> i32 {
  return i32((input[at / 4u] >> (8u * (at % 4u))) & 0xffu);
}

// Four samples that begin at any byte.
fn samples(at: u32) -> vec4<i32> {
  let shift = 8u * (at % 4u);
  var word = input[at / 4u];
  if (shift != 0u) { word = (word >> shift) | (input[at / 4u + 1u] << (32u - shift)); }
  return vec4<i32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu));
}

fn word_of(samples: vec4<i32>) -> u32 {
  let s = vec4<u32>(clamp(samples, vec4<i32>(0), vec4<i32>(255))) << vec4<u32>(0u, 8u, 16u, 24u);
  return s.x | s.y | s.z | s.w;
}

@compute @workgroup_size(16, 4)
fn vertical(@builtin(global_invocation_id) id: vec3<u32>) {
  let plane = job.planes[id.z];
  if (id.x * 4u >= plane.middle_stride || id.y >= plane.height) { return; }
  let entry = plane.rows_at + id.y * plane.rows_step;
  let count = u32(taps[entry + 1u]);
  var at = plane.from_at + u32(taps[entry]) * plane.from_stride + id.x * 4u;
  var sum = vec4<i32>(1i << (plane.rows_bits - 1u));
  for (var n = 0u; n < count; n++) {
    sum += taps[entry + 2u + n] * samples(at);
    at += plane.from_stride;
  }
  output[(plane.middle_at + id.y * plane.middle_stride) / 4u + id.x] = word_of(sum >> vec4<u32>(plane.rows_bits));
}

@compute @workgroup_size(16, 4)
fn horizontal(@builtin(global_invocation_id) id: vec3<u32>) {
  let plane = job.planes[id.z];
  if (id.x * 4u >= plane.to_stride || id.y >= plane.to_height) { return; }
  var four = vec4<i32>(plane.black);
  // Left of the area and above it the difference wraps to a large number.
  let row = id.y - plane.top;
  for (var n = 0u; n < 4u; n++) {
    let column = id.x * 4u + n - plane.left;
    if (row >= plane.height || column >= plane.width) { continue; }
    let entry = plane.columns_at + column * plane.columns_step;
    let at = plane.middle_at + row * plane.middle_stride + u32(taps[entry]);
    let count = u32(taps[entry + 1u]);
    var sum = 1i << (plane.columns_bits - 1u);
    for (var tap = 0u; tap < count; tap++) { sum += taps[entry + 2u + tap] * sample(at + tap); }
    four[n] = sum >> plane.columns_bits;
  }
  output[(plane.to_at + id.y * plane.to_stride) / 4u + id.x] = word_of(four);
}

// The word of plane `id.z` that an invocation of `unpack_*` writes, or none.
fn unpacked(id: vec3<u32>) -> bool {
  let plane = job.planes[id.z];
  return id.x * 4u < plane.from_stride && id.y < plane.from_height;
}

fn put(id: vec3<u32>, four: vec4<i32>) {
  let plane = job.planes[id.z];
  output[(plane.from_at + id.y * plane.from_stride) / 4u + id.x] = word_of(four);
}

// A luma plane, then rows of U and V in turns.
@compute @workgroup_size(16, 4)
fn unpack_nv12(@builtin(global_invocation_id) id: vec3<u32>) {
  if (!unpacked(id)) { return; }
  if (id.z == 0u) {
    put(id, samples(id.y * job.width + id.x * 4u));
    return;
  }
  let at = (job.height + id.y) * job.width + id.x * 8u + id.z - 1u;
  put(id, vec4<i32>(sample(at), sample(at + 2u), sample(at + 4u), sample(at + 6u)));
}

// Y U Y V for every two samples; the chroma of two rows becomes their mean.
@compute @workgroup_size(16, 4)
fn unpack_yuyv(@builtin(global_invocation_id) id: vec3<u32>) {
  if (!unpacked(id)) { return; }
  let stride = job.width * 2u;
  var four: vec4<i32>;
  for (var n = 0u; n < 4u; n++) {
    let x = id.x * 4u + n;
    if (id.z == 0u) {
      four[n] = sample(id.y * stride + x * 2u);
    } else {
      let at = id.y * 2u * stride + x * 4u + id.z * 2u - 1u;
      four[n] = (sample(at) + sample(at + stride) + 1) >> 1u;
    }
  }
  put(id, four);
}

fn rgb(x: u32, y: u32) -> vec3<i32> {
  let at = (y * job.width + x) * 3u;
  return vec3<i32>(sample(at), sample(at + 1u), sample(at + 2u));
}

// Three bytes a pixel; chroma is of the mean of four pixels.
@compute @workgroup_size(16, 4)
fn unpack_rgb(@builtin(global_invocation_id) id: vec3<u32>) {
  if (!unpacked(id)) { return; }
  let weights = job.colour[id.z];
  var four: vec4<i32>;
  for (var n = 0u; n < 4u; n++) {
    let x = id.x * 4u + n;
    var colour: vec3<i32>;
    if (id.z == 0u) {
      colour = rgb(x, id.y);
    } else {
      let sum = rgb(2u * x, 2u * id.y) + rgb(2u * x + 1u, 2u * id.y)
        + rgb(2u * x, 2u * id.y + 1u) + rgb(2u * x + 1u, 2u * id.y + 1u);
      colour = (sum + vec3<i32>(2)) >> vec3<u32>(2u);
    }
    four[n] = (dot(weights.rgb, colour) + weights.w) >> 13u;
  }
  put(id, four);
}
