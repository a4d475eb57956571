//! Integration tests, in one program: they share the models, the allocator and the time to link.

mod hand_over;
mod peers;

#[global_allocator]
static ALLOCATOR: palmd::health::CountingAllocator = palmd::health::CountingAllocator;
