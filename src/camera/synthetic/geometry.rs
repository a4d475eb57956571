//! Points, directions and rotations in the camera's space: x right, y down, z away, metres.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// A point or direction.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Vec3 {
    pub x: f32,
    pub y: f32,
    pub z: f32,
}

/// Shorthand for [`Vec3`].
pub(super) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    pub fn dot(self, o: Self) -> f32 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    pub fn cross(self, o: Self) -> Self {
        vec3(
            self.y * o.z - self.z * o.y,
            self.z * o.x - self.x * o.z,
            self.x * o.y - self.y * o.x,
        )
    }

    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The direction of a vector that isn't zero.
    pub fn normalized(self) -> Self {
        self * (1.0 / self.length())
    }

    pub fn lerp(self, to: Self, t: f32) -> Self {
        self + (to - self) * t
    }

    /// As seen in a mirror that stands on the x axis.
    pub fn mirrored(self) -> Self {
        vec3(-self.x, self.y, self.z)
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        vec3(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl AddAssign for Vec3 {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        vec3(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, k: f32) -> Self {
        vec3(self.x * k, self.y * k, self.z * k)
    }
}

/// A rotation as a unit quaternion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rotation {
    w: f32,
    v: Vec3,
}

impl Rotation {
    /// By `degrees` about `axis`, a unit vector.
    pub fn about(axis: Vec3, degrees: f32) -> Self {
        let (sin, cos) = (degrees.to_radians() / 2.0).sin_cos();
        Self {
            w: cos,
            v: axis * sin,
        }
    }

    /// The rotation that turns the x, y and z axes into these three, which are at right angles.
    pub fn from_axes(x: Vec3, y: Vec3, z: Vec3) -> Self {
        // Shepperd's method: divide by the largest component.
        let trace = x.x + y.y + z.z;
        let (w, v) = if trace > 0.0 {
            let s = (trace + 1.0).sqrt() * 2.0;
            let v = vec3(y.z - z.y, z.x - x.z, x.y - y.x) * (1.0 / s);
            (s / 4.0, v)
        } else if x.x >= y.y && x.x >= z.z {
            let s = (1.0 + x.x - y.y - z.z).sqrt() * 2.0;
            let v = vec3(s / 4.0, (y.x + x.y) / s, (z.x + x.z) / s);
            ((y.z - z.y) / s, v)
        } else if y.y >= z.z {
            let s = (1.0 + y.y - x.x - z.z).sqrt() * 2.0;
            let v = vec3((y.x + x.y) / s, s / 4.0, (z.y + y.z) / s);
            ((z.x - x.z) / s, v)
        } else {
            let s = (1.0 + z.z - x.x - y.y).sqrt() * 2.0;
            let v = vec3((z.x + x.z) / s, (z.y + y.z) / s, s / 4.0);
            ((x.y - y.x) / s, v)
        };
        Self { w, v }
    }

    /// First `self`, then `next`.
    pub fn then(self, next: Self) -> Self {
        Self {
            w: next.w * self.w - next.v.dot(self.v),
            v: self.v * next.w + next.v * self.w + next.v.cross(self.v),
        }
    }

    pub fn inverse(self) -> Self {
        Self {
            w: self.w,
            v: -self.v,
        }
    }

    pub fn apply(self, p: Vec3) -> Vec3 {
        let t = self.v.cross(p) * 2.0;
        p + t * self.w + self.v.cross(t)
    }

    fn dot(self, o: Self) -> f32 {
        self.w * o.w + self.v.dot(o.v)
    }

    /// The angle from `self` to `to`, in degrees.
    pub fn angle_to(self, to: Self) -> f32 {
        2.0 * self.dot(to).abs().min(1.0).acos().to_degrees()
    }

    /// Along the shortest way to `to`, at an even speed.
    pub fn slerp(self, to: Self, t: f32) -> Self {
        let dot = self.dot(to);
        let (dot, sign) = if dot < 0.0 { (-dot, -1.0) } else { (dot, 1.0) };
        let (a, b) = if dot > 0.9995 {
            (1.0 - t, t)
        } else {
            let angle = dot.acos();
            let sin = angle.sin();
            (((1.0 - t) * angle).sin() / sin, (t * angle).sin() / sin)
        };
        let (w, v) = (self.w * a + to.w * b * sign, self.v * a + to.v * (b * sign));
        let k = 1.0 / (w * w + v.dot(v)).sqrt();
        Self { w: w * k, v: v * k }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: Vec3, b: Vec3) -> bool {
        (a - b).length() < 1e-5
    }

    #[test]
    fn axes_give_the_rotation_back() {
        for degrees in [0.0, 30.0, 90.0, 179.0, 180.0, 200.0, 300.0] {
            for axis in [
                vec3(1.0, 0.0, 0.0),
                vec3(0.0, 1.0, 0.0),
                vec3(0.0, 0.0, 1.0),
                vec3(1.0, -2.0, 0.5).normalized(),
            ] {
                let r = Rotation::about(axis, degrees);
                let [x, y, z] = [
                    vec3(1.0, 0.0, 0.0),
                    vec3(0.0, 1.0, 0.0),
                    vec3(0.0, 0.0, 1.0),
                ]
                .map(|a| r.apply(a));
                let back = Rotation::from_axes(x, y, z);
                let p = vec3(0.3, -0.7, 0.2);
                assert!(near(back.apply(p), r.apply(p)), "{axis:?} {degrees}");
            }
        }
    }

    #[test]
    fn slerp_goes_evenly_and_rotations_compose() {
        let axis = vec3(0.0, 0.0, 1.0);
        let none = Rotation::about(axis, 0.0);
        let quarter = none.slerp(Rotation::about(axis, 120.0), 0.25);
        let x = vec3(1.0, 0.0, 0.0);
        assert!(near(quarter.apply(x), Rotation::about(axis, 30.0).apply(x)));
        let twice = quarter.then(quarter);
        assert!(near(twice.apply(x), Rotation::about(axis, 60.0).apply(x)));
        assert!((none.angle_to(twice) - 60.0).abs() < 0.1);
    }
}
