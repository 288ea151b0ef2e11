use burn_flex::Flex;

use super::kernels::Kernels;

impl Kernels for Flex {
    const NHWC: bool = false;
}
