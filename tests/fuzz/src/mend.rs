//! Makes checksums right, so that what lies behind them is reached: a fuzzer does not guess a CRC.

/// An xz file of one stream: its header, index and footer, and the headers of the blocks that its index names.
pub fn xz(file: &mut [u8]) {
    let Some(index_end) = file.len().checked_sub(12).filter(|&end| end >= 12) else {
        return;
    };
    xz_header(&mut file[..12]);
    xz_footer(&mut file[index_end..]);
    let index_len = (u64::from(u32_at(file, index_end + 4)) + 1) * 4;
    let start = usize::try_from(index_len)
        .ok()
        .and_then(|len| index_end.checked_sub(len));
    let Some(start) = start.filter(|&start| start >= 12) else {
        return;
    };
    xz_index(&mut file[start..index_end]);
    let mut block = 12;
    for (unpadded, _) in xz_records(&file[start..index_end]) {
        xz_block_header(&mut file[block..start]);
        block = usize::try_from(unpadded.next_multiple_of(4))
            .map_or(start, |len| block.saturating_add(len).min(start));
    }
}

/// An xz file without its blocks: header, index and footer.
pub fn xz_ends(ends: &mut [u8]) {
    let Some(index_end) = ends.len().checked_sub(12).filter(|&end| end >= 12) else {
        return;
    };
    let words = (index_end - 12) as u32 / 4;
    ends[index_end + 4..index_end + 8].copy_from_slice(&words.saturating_sub(1).to_le_bytes());
    xz_header(&mut ends[..12]);
    xz_footer(&mut ends[index_end..]);
    xz_index(&mut ends[12..index_end]);
}

fn xz_header(header: &mut [u8]) {
    header[..6].copy_from_slice(b"\xFD7zXZ\0");
    let crc = crc32fast::hash(&header[6..8]);
    header[8..].copy_from_slice(&crc.to_le_bytes());
}

fn xz_footer(footer: &mut [u8]) {
    let crc = crc32fast::hash(&footer[4..10]);
    footer[..4].copy_from_slice(&crc.to_le_bytes());
    footer[10..].copy_from_slice(b"YZ");
}

fn xz_index(index: &mut [u8]) {
    if let Some((list, crc)) = index.split_last_chunk_mut::<4>() {
        *crc = crc32fast::hash(list).to_le_bytes();
    }
}

fn xz_block_header(block: &mut [u8]) {
    let len = block.first().map_or(0, |&size| (usize::from(size) + 1) * 4);
    if let Some((fields, crc)) = block
        .get_mut(..len)
        .and_then(<[u8]>::split_last_chunk_mut::<4>)
    {
        *crc = crc32fast::hash(fields).to_le_bytes();
    }
}

/// The sizes of the blocks in an index, as far as there are any: compressed without padding, and uncompressed.
pub fn xz_records(index: &[u8]) -> Vec<(u64, u64)> {
    let mut rest = index.get(1..).unwrap_or_default();
    let count = xz_number(&mut rest).unwrap_or(0);
    let mut record = || Some((xz_number(&mut rest)?, xz_number(&mut rest)?));
    (0..count).map_while(|_| record()).collect()
}

/// A number as xz writes it, without its rules: seven bits a byte, as long as a byte says that another one follows.
fn xz_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The head of a disk with a GPT: the checksums of its entries and of its header.
pub fn gpt(head: &mut [u8]) {
    if head.len() < 1024 {
        return;
    }
    let from = (u32_at(head, 512 + 72) as usize).saturating_mul(512);
    let len = (u32_at(head, 512 + 80) as usize).saturating_mul(u32_at(head, 512 + 84) as usize);
    if let Some(entries) = head.get(from..from.saturating_add(len)) {
        let crc = crc32fast::hash(entries);
        head[512 + 88..512 + 92].copy_from_slice(&crc.to_le_bytes());
    }
    let header_len = (u32_at(head, 512 + 12) as usize).clamp(92, 512);
    head[512 + 16..512 + 20].fill(0);
    let crc = crc32fast::hash(&head[512..512 + header_len]);
    head[512 + 16..512 + 20].copy_from_slice(&crc.to_le_bytes());
}

/// The footer of a VHD: the complement of the sum of all its bytes.
pub fn vhd(footer: &mut [u8; 512]) {
    footer[64..68].fill(0);
    let sum = footer.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
