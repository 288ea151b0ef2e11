use burn_flex::Flex;

use super::kernels::Kernels;

/// All of it runs on Burn's own operators: it is there to check those of the GPU.
impl Kernels for Flex {}
