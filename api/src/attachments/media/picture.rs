//! Pictures: how large they are, and a small one of each. A picture may be a bomb, a small file that takes all
//! memory when it is decoded, so its header is believed only when it says little.

use std::io::{BufRead, Seek};

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use super::MediaError;

/// The most pixels that are decoded.
pub const MAX_PIXELS: u64 = 50_000_000;
/// The most bytes that decoding may take.
pub const MAX_MEMORY: u64 = 256 * 1024 * 1024;
/// The longest side of a thumbnail, in pixels.
const THUMBNAIL: u32 = 320;
const THUMBNAIL_QUALITY: u8 = 80;

/// What was found in a picture.
pub(super) struct Picture {
    /// Pixels across and down, as it is shown.
    pub(super) size: (u32, u32),
    pub(super) thumbnail: Bytes,
}

/// The format of this media type, if pictures of it are decoded: those that browsers show.
pub(super) fn format(mime: &str) -> Option<ImageFormat> {
    Some(match mime {
        "image/png" => ImageFormat::Png,
        "image/jpeg" => ImageFormat::Jpeg,
        "image/gif" => ImageFormat::Gif,
        "image/webp" => ImageFormat::WebP,
        _ => return None,
    })
}

/// Decodes a picture; of a moving one, how it begins.
pub(super) fn decode(reader: impl BufRead + Seek, format: ImageFormat) -> Result<Picture, MediaError> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_MEMORY);
    let mut reader = ImageReader::with_format(reader, format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    // Before anything is decoded; and the decoder's own bound counts what it makes beside the picture.
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_MEMORY {
        return Err(MediaError::TooLarge);
    }
    limits.reserve(decoder.total_bytes()).map_err(refused)?;
    decoder.set_limits(limits).map_err(refused)?;
    // How a camera was held; without it, the picture is as it is.
    let orientation = decoder.orientation();
    let picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    // Made small before it is turned; and nothing is made larger.
    let mut small = if width > THUMBNAIL || height > THUMBNAIL {
        picture.thumbnail(THUMBNAIL, THUMBNAIL)
    } else {
        picture
    };
    let mut size = (width, height);
    if let Ok(orientation) = orientation {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        if matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH) {
            size = (height, width);
        }
        small.apply_orientation(orientation);
    }
    let mut thumbnail = Vec::new();
    JpegEncoder::new_with_quality(&mut thumbnail, THUMBNAIL_QUALITY)
        .encode_image(&on_white(&small))
        .map_err(refused)?;
    Ok(Picture {
        size,
        thumbnail: thumbnail.into(),
    })
}

/// What is transparent shows white: JPEG knows no transparency.
fn on_white(picture: &DynamicImage) -> RgbImage {
    let picture = picture.to_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        let over = |colour: u8| {
            let (colour, alpha) = (u16::from(colour), u16::from(alpha));
            u8::try_from((colour * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        Rgb([over(red), over(green), over(blue)])
    })
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn refused(error: ImageError) -> MediaError {
    match error {
        ImageError::Limits(_) => MediaError::TooLarge,
        _ => MediaError::Broken,
    }
}
